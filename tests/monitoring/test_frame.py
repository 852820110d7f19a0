"""Captured rows become the frame that training reads, with the same types and the same nulls."""

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from evergreen.data.frame import canonical_frame
from evergreen.data.parse import TextRules
from evergreen.monitoring.frame import join_frames, to_frame, to_predictions
from evergreen.store.captured import Captured

TYPES = {"price": "number", "calls": "integer", "plan": "category", "since": "datetime", "late": "boolean"}
ROWS = [
    {"price": 1.5, "calls": 3, "plan": "pro", "since": "2026-03-01T06:00:00+01:00", "late": True},
    {"price": None, "calls": None, "plan": None, "since": None, "late": None},
    {"price": 2, "calls": 4, "plan": "basic", "since": "2026-03-02T06:00:00", "late": False},
]


def captured(rows: list[dict]) -> Captured:
    return Captured(pa.Table.from_pylist(rows), pa.table({"id": [str(place) for place in range(len(rows))]}))


def test_a_captured_row_is_what_training_would_have_read():
    frame = to_frame(captured(ROWS), TYPES)
    assert frame.dtypes.astype(str).to_dict() == {
        "price": "float64",
        "calls": "float64",
        "plan": "category",
        "since": "datetime64[us]",
        "late": "float64",
    }
    assert frame["since"].iloc[0] == pd.Timestamp("2026-03-01T05:00:00")
    assert frame.isna().sum(axis=1).tolist() == [0, 5, 0]
    pd.testing.assert_frame_equal(frame, canonical_frame(pd.DataFrame(ROWS), TYPES))


def test_what_was_never_captured_is_not_there():
    assert list(to_frame(captured(ROWS), {**TYPES, "age": "number"})) == list(TYPES)
    assert to_frame(captured([]), TYPES).empty


def test_texts_are_read_as_the_source_of_the_model_means_them():
    rows = [{"price": "1,5", "plan": "?"}]
    frame = to_frame(captured(rows), {"price": "number", "plan": "category"}, TextRules(",", ("", "?")))
    assert (frame["price"].iloc[0], frame["plan"].isna().iloc[0]) == (1.5, True)


def test_pieces_are_one_frame_with_the_labels_of_all():
    pieces = [to_frame(captured(rows), TYPES) for rows in (ROWS[:1], ROWS[1:2], ROWS[2:])]
    whole = to_frame(captured(ROWS), TYPES)
    pd.testing.assert_frame_equal(join_frames(pieces), whole)
    short = to_frame(captured([{"price": 1.0}]), TYPES)
    assert list(join_frames([whole, short])) == ["price"]
    assert join_frames([]).empty
    assert join_frames([whole.iloc[:0]]).empty


@pytest.mark.parametrize(
    ("classes", "kind", "expected"),
    [
        (["no", "yes"], "number", [0.2, 0.7]),
        (["a", "b", "c"], "category", ["no", "yes"]),
        ([], "category", ["no", "yes"]),
    ],
)
def test_the_answer_is_one_column_as_drift_compares_it(classes, kind, expected):
    chances = {"probability_no": [0.8, 0.3], "probability_yes": [0.2, 0.7]}
    answers = pa.table({"prediction": ["no", "yes"], **chances})
    assert to_predictions(answers, classes, kind).tolist() == expected


def test_numbers_stay_numbers_and_lost_probabilities_are_null():
    said = pa.table({"prediction": [1.0, 2.5], "at": [datetime(2026, 3, 1, tzinfo=UTC)] * 2})
    assert to_predictions(said, [], "number").tolist() == [1.0, 2.5]
    assert to_predictions(said, ["no", "yes"], "number").isna().all()
