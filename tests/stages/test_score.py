"""Batch scoring: chunks, kills and resumption change no answer; what is not the ledger's champion does not answer."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.data.frame import read_snapshot
from evergreen.errors import DataError, IntegrityError, UserError
from evergreen.registry import provenance as tag
from evergreen.registry.model import load
from evergreen.stages import score as stage
from evergreen.stages.open import tracking_of
from evergreen.stages.score import Destination, score_rows
from evergreen.stages.score_folder import ScoreFolder
from evergreen.stages.scorer import open_scorer, take_rows

COLUMNS = ["row_id", "prediction", "probability_no", "probability_yes", "model", "version", "as_of"]


class Killed(BaseException):
    """No handler of ours may catch it, as none catches SIGKILL."""


def read(folder):
    """All parts of a folder, in their order."""
    return pd.concat([pd.read_parquet(path) for path in sorted(Path(folder).glob("part-*.parquet"))], ignore_index=True)


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("part-*")}


def score(project, moment, data=None, out=None, chunk_rows=40, told=None):
    scorer = open_scorer(project.model, data, project.settings)
    snapshot = take_rows(scorer, moment, project.settings)
    return score_rows(scorer, snapshot, Destination(out, chunk_rows), project.settings, moment, told)


@pytest.fixture
def asked(crowned, first_moment):
    """The champion, and the 84 rows of the last week before the first moment, whose label nobody knows then."""
    scorer = open_scorer(crowned.model, None, crowned.settings)
    return scorer, take_rows(scorer, first_moment, crowned.settings)


@pytest.fixture
def pipeline(crowned):
    champion = crowned.registry.champion(crowned.model)
    return load(tracking_of(crowned.settings), champion.source, champion.digest)


@pytest.fixture
def unseen(shopper_table, tmp_path):
    """A file with raw inputs and nothing else."""
    frame = shopper_table(days=10, seed=9)[["waited", "spent", "plan"]]
    frame.to_csv(tmp_path / "unseen.csv", index=False)
    return tmp_path / "unseen.csv", frame


def test_rows_whose_label_is_not_known_are_scored_as_the_pipeline_scores_them_all_at_once(
    crowned, asked, pipeline, shopper_table, first_moment
):
    done = score(crowned, first_moment)
    table, until = shopper_table(), pd.Timestamp(first_moment.replace(tzinfo=None))
    waiting = table[(table["at"] <= until) & (table["at"] > until - timedelta(days=7))]
    scores = read(done.folder)
    assert (len(scores), done.rows, done.parts, done.version) == (len(waiting), len(waiting), 3, 1)
    assert scores["prediction"].tolist() == pipeline.predict(waiting).tolist()
    probabilities = scores[[f"probability_{name}" for name in pipeline.classes_]].to_numpy()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(waiting), rtol=1e-12)


def test_a_score_says_whose_it_is_and_nothing_about_the_row_but_its_name(crowned, asked, first_moment):
    done = score(crowned, first_moment)
    scores = read(done.folder)
    assert list(scores) == COLUMNS
    assert scores["row_id"].tolist() == list(range(len(scores)))
    assert set(scores["model"]) == {"tiny"}
    assert set(scores["version"]) == {1}
    assert set(scores["as_of"]) == {pd.Timestamp(first_moment)}


def test_only_what_the_champion_reads_and_the_rows_name_and_time_leave_the_source(crowned, shopper_table, first_moment):
    table = shopper_table()
    crowned.write(table.assign(customer=[f"c{n}" for n in range(len(table))], income=1))
    crowned.change(data__id_column="customer")
    scorer = open_scorer(crowned.model, None, crowned.settings)
    snapshot = take_rows(scorer, first_moment, crowned.settings)
    assert set(read_snapshot(snapshot.path)) == {"waited", "spent", "plan", "customer", "at"}
    done = score(crowned, first_moment)
    scores = read(done.folder)
    assert list(scores) == COLUMNS
    assert scores["row_id"].str.fullmatch(r"c\d+").all()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunk_rows=st.integers(1, 100))
def test_chunks_do_not_change_answers(crowned, asked, first_moment, tmp_path_factory, chunk_rows):
    scorer, snapshot = asked
    folders = [tmp_path_factory.mktemp("scores") / str(rows) for rows in (10_000, chunk_rows)]
    for folder, rows in zip(folders, (10_000, chunk_rows), strict=True):
        score_rows(scorer, snapshot, Destination(str(folder), rows), crowned.settings, first_moment)
    pd.testing.assert_frame_equal(read(folders[0]), read(folders[1]), rtol=1e-12)
    sizes = [pq.read_metadata(path).num_rows for path in sorted(folders[1].glob("part-*"))]
    assert all(size == chunk_rows for size in sizes[:-1])


@pytest.mark.parametrize("stop", ["before it is renamed", "before it is written down", "before the manifest"])
def test_after_a_kill_the_same_bytes_are_there(crowned, first_moment, tmp_path, monkeypatch, stop):
    whole = score(crowned, first_moment, out=str(tmp_path / "whole"))
    write, note = ScoreFolder.write, ScoreFolder.note

    def die_writing(self, number, table):
        if number == 1:
            (self.path / ".part-00001.parquet.x").write_bytes(b"half")
            raise Killed
        return write(self, number, table)

    def die_noting(self, parts):
        if len(parts) == 2:
            raise Killed
        note(self, parts)

    def die(self, parts, **more):
        raise Killed

    with monkeypatch.context() as patch:
        planted = {
            "before it is renamed": ("write", die_writing),
            "before it is written down": ("note", die_noting),
            "before the manifest": ("complete", die),
        }
        patch.setattr(ScoreFolder, *planted[stop])
        with pytest.raises(Killed):
            score(crowned, first_moment, out=str(tmp_path / "killed"))
    assert not (tmp_path / "killed" / "manifest.json").exists()
    first = (tmp_path / "killed" / "part-00000.parquet").stat().st_mtime_ns
    done = score(crowned, first_moment, out=str(tmp_path / "killed"))
    assert done.written
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert (tmp_path / "killed" / "part-00000.parquet").stat().st_mtime_ns == first
    left = {path.name for path in (tmp_path / "killed").iterdir()} - {".lock"}
    assert left == {"manifest.json", *contents(whole.folder)}


def test_a_part_that_was_damaged_meanwhile_is_scored_again(crowned, first_moment, tmp_path):
    def die(done, rows):
        if done == 80:
            raise Killed

    with pytest.raises(Killed):
        score(crowned, first_moment, out=str(tmp_path / "a"), told=die)
    (tmp_path / "a" / "part-00000.parquet").write_bytes(b"damaged")
    score(crowned, first_moment, out=str(tmp_path / "a"))
    score(crowned, first_moment, out=str(tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_folder_that_was_begun_with_other_chunks_is_begun_anew(crowned, first_moment, tmp_path):
    def die(done, rows):
        if done:
            raise Killed

    with pytest.raises(Killed):
        score(crowned, first_moment, out=str(tmp_path / "a"), chunk_rows=10, told=die)
    score(crowned, first_moment, out=str(tmp_path / "a"), chunk_rows=50)
    assert len(contents(tmp_path / "a")) == 2


def test_a_complete_folder_is_not_written_again(crowned, first_moment):
    first = score(crowned, first_moment)
    before = crowned.files("scores")
    again = score(crowned, first_moment, chunk_rows=7)
    assert (again.folder, again.written, again.rows) == (first.folder, False, first.rows)
    assert crowned.files("scores") == before


def test_a_part_that_changed_in_a_complete_folder_is_told(crowned, first_moment):
    done = score(crowned, first_moment)
    (Path(done.folder) / "part-00001.parquet").write_bytes(b"other")
    with pytest.raises(IntegrityError, match=r"part-00001\.parquet: is not what was written"):
        score(crowned, first_moment)


def test_the_manifest_says_what_the_scores_are(crowned, asked, first_moment):
    done = score(crowned, first_moment)
    manifest = json.loads((Path(done.folder) / "manifest.json").read_text())
    champion = crowned.registry.champion(crowned.model)
    assert (manifest["version"], manifest["model_digest"]) == (1, champion.digest)
    assert (manifest["snapshot"], manifest["rows"]) == (asked[1].digest, asked[1].rows)
    assert [part["rows"] for part in manifest["parts"]] == [40, 40, done.rows - 80]
    assert Path(done.folder).name.startswith("20260401T000000Z-v1-")
    assert Path(done.folder).parent == crowned.settings.home / "scores" / "tiny"


@pytest.mark.parametrize("complete", [True, False])
def test_scores_of_another_question_are_not_overwritten(crowned, first_moment, second_moment, tmp_path, complete):
    def die(done, rows):
        if done and not complete:
            raise Killed

    try:
        score(crowned, first_moment, out=str(tmp_path / "out"), told=die)
    except Killed:
        assert not complete
    before = contents(tmp_path / "out")
    with pytest.raises(UserError, match=r"holds scores of another question \(snapshot"):
        score(crowned, second_moment, out=str(tmp_path / "out"))
    assert contents(tmp_path / "out") == before
    assert score(crowned, first_moment).folder != score(crowned, second_moment).folder


def test_a_folder_of_somebody_else_is_left_alone(crowned, first_moment, tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="holds other files"):
        score(crowned, first_moment, out=str(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_row_of_a_given_file_is_scored(crowned, first_moment, pipeline, unseen, suffix):
    path, frame = unseen
    if suffix == "parquet":
        path = path.with_suffix(".parquet")
        frame.to_parquet(path)
    done = score(crowned, first_moment, data=str(path))
    assert read(done.folder)["prediction"].tolist() == pipeline.predict(frame).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="spent"), "has no column 'spent'"),
        (lambda frame: frame.assign(spent=frame["spent"].where(frame.index > 3, 99)), "column spent: max: spent: 4 of"),
        (lambda frame: frame.assign(spent="much"), "column spent: type: spent: 120 of 120 rows cannot be read"),
        (lambda frame: frame.assign(spent=frame["spent"].where(frame.index > 60)), "column spent: max_null_share"),
    ],
)
def test_rows_that_break_the_rules_of_training_are_not_scored(crowned, first_moment, unseen, change, message):
    path, frame = unseen
    change(frame).to_csv(path, index=False)
    with pytest.raises(DataError) as told:
        score(crowned, first_moment, data=str(path))
    assert message in str(told.value)
    assert not (crowned.settings.home / "scores").exists()


def test_a_table_in_which_every_label_is_known_has_nothing_to_score(crowned, shopper_table, first_moment):
    crowned.change(data__label_delay=None)
    with pytest.raises(DataError, match="rows has a label as of 2026-04-01"):
        score(crowned, first_moment)
    table = shopper_table()
    crowned.write(table.assign(leaves=table["leaves"].where(table.index != 5)))
    assert score(crowned, first_moment).rows == 1


def test_without_a_champion_nothing_is_scored(project, first_moment):
    with pytest.raises(UserError, match="tiny has no champion that could score; evergreen run tiny trains one"):
        score(project, first_moment)


def test_an_artifact_that_changed_is_not_loaded(crowned, first_moment, monkeypatch):
    def load_anything(files):
        raise AssertionError("unpickled")

    monkeypatch.setattr("evergreen.registry.model.load_pipeline", load_anything)
    for path in (crowned.settings.home / "artifacts").rglob("model.*"):
        path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(IntegrityError, match="it is not loaded"):
        score(crowned, first_moment)


@pytest.mark.parametrize("digest", ["0" * 64, ""])
def test_a_champion_that_the_ledger_does_not_know_is_not_loaded(crowned, first_moment, digest):
    client = tracking_of(crowned.settings).client
    client.set_model_version_tag(crowned.model, "1", tag.MODEL_DIGEST, digest)
    with pytest.raises(IntegrityError, match="the ledger promoted no artifact"):
        score(crowned, first_moment)


def test_a_version_that_was_made_champion_behind_the_ledgers_back_is_not_loaded(crowned, first_moment):
    client = tracking_of(crowned.settings).client
    known = client.get_model_version(crowned.model, "1")
    client.create_model_version(crowned.model, known.source, run_id=known.run_id, tags=known.tags)
    client.set_registered_model_alias(crowned.model, "champion", "2")
    with pytest.raises(IntegrityError, match="version 2 of tiny is champion in the registry, but the ledger"):
        score(crowned, first_moment)


def test_two_at_once_do_not_write_into_one_folder(crowned, asked, first_moment, tmp_path, monkeypatch):
    monkeypatch.setattr("evergreen.stages.score_folder._PATIENCE_SECONDS", 0.0)
    scorer, snapshot = asked
    question = stage._question(scorer, snapshot)
    with ScoreFolder(tmp_path / "out", question, 40).held(), pytest.raises(Exception, match="held by another process"):
        score(crowned, first_moment, out=str(tmp_path / "out"))
