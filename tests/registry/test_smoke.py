import subprocess

import pytest

from evergreen.checks import Outcome
from evergreen.errors import IntegrityError
from evergreen.registry import smoke
from evergreen.registry.artifact import digest_of, read_files, read_requests, write_requests
from evergreen.registry.smoke import smoke_test


@pytest.fixture(autouse=True)
def cold(monkeypatch):
    """A fresh process, as there is one where no tests are."""
    monkeypatch.setattr(smoke, "subprocess", subprocess)


@pytest.fixture
def folder(tmp_path, logged):
    (mlmodel,) = (tmp_path / "artifacts").rglob("MLmodel")
    return mlmodel.parent


def redigest(folder):
    return digest_of(read_files(folder))


def test_the_registered_artifact_answers_as_in_training_without_mlflow(
    registry, tracking, logged, tmp_path, monkeypatch
):
    registered = registry.register("churn", *logged, {}, "card")
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "mlflow.py").write_text("raise ImportError('the fresh process imported MLflow')")
    monkeypatch.syspath_prepend(tmp_path / "first")
    check = smoke_test(tracking, registered.uri, logged[1].digest)
    assert check.outcome is Outcome.PASS, check.why
    assert check.value <= 1e-9
    assert "100 stored requests" in check.why


def test_an_artifact_that_answers_differently_fails(tracking, logged, folder, customers):
    requests, expected = read_requests(read_files(folder))
    flipped = expected.predictions[::-1]
    write_requests(folder, requests, type(expected)(flipped, expected.probabilities))
    check = smoke_test(tracking, logged[1].uri, redigest(folder))
    assert check.outcome is Outcome.FAIL
    assert "answers differently" in check.why


def test_an_artifact_with_another_digest_fails(tracking, logged):
    check = smoke_test(tracking, logged[1].uri, "0" * 64)
    assert check.outcome is Outcome.FAIL
    assert "it is not loaded" in check.why


def test_an_artifact_that_does_not_load_fails(tracking, logged, folder):
    (folder / "model.skops").write_bytes(b"PK\x03\x04 half a file")
    check = smoke_test(tracking, logged[1].uri, redigest(folder))
    assert check.outcome is Outcome.FAIL
    assert "failed in a fresh process" in check.why


def test_a_process_that_gives_no_answer_in_time_fails(tracking, logged):
    check = smoke_test(tracking, logged[1].uri, logged[1].digest, timeout_seconds=0.01)
    assert check.outcome is Outcome.FAIL
    assert "no answer within 0.01 s" in check.why


def test_an_artifact_whose_files_are_gone_is_an_error(tracking, logged, folder):
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(IntegrityError, match="files are gone"):
        smoke_test(tracking, logged[1].uri, logged[1].digest)
