"""A challenger that waits unregistered is kept whole, and known again."""

import pytest

from evergreen.errors import IntegrityError
from evergreen.registry.candidate import Candidate, fetch_candidate, keep_candidate


def test_a_candidate_comes_back_as_it_was_kept(tracking, logged):
    run_id, model = logged
    candidate = Candidate(model, {"evergreen.snapshot": "5e1f"}, "# A card\n\nwith “quotes”")
    keep_candidate(tracking, run_id, candidate)
    keep_candidate(tracking, run_id, candidate)
    assert fetch_candidate(tracking, run_id) == candidate


def test_what_a_run_did_not_keep_is_no_candidate(tracking, logged, tmp_path):
    run_id, model = logged
    with pytest.raises(IntegrityError, match="keeps no challenger"):
        fetch_candidate(tracking, run_id)
    keep_candidate(tracking, run_id, Candidate(model, {}, "card"))
    (file,) = tmp_path.rglob("candidate.json")
    file.write_text(file.read_text().replace("card", "curd"))
    with pytest.raises(IntegrityError, match=r"candidate\.json of MLflow run .* has digest"):
        fetch_candidate(tracking, run_id)
