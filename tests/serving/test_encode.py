"""Rows become the very matrix that the fitted pipeline makes of a frame."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import FunctionTransformer

from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.serving.decode import decode_records
from evergreen.serving.encode import compile_encoder
from evergreen.serving.reader import build_reader
from evergreen.serving.rows import frame_to_rows, row_to_json, rows_to_frame
from evergreen.serving.uncompiled import NotCompilable
from evergreen.spec.features import FeatureSpec
from tests.serving.pipelines import COLUMNS, TYPES, columns_read, features, frame, rows


def prepared(spec, encoding):
    return with_estimator(build_preprocessing(spec, TYPES, encoding, "at").fit(frame()), "passthrough")


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), encoding=st.sampled_from(["scaled", "imputed", "native"]))
def test_every_number_is_the_pipelines_own(seed, encoding):
    pipeline = prepared(features(seed), encoding)
    columns, encode = columns_read(pipeline), compile_encoder(pipeline)
    asked = [*rows(columns, seed=seed), *frame_to_rows(columns, frame(30, seed=1))]
    with np.errstate(all="ignore"):
        wanted = pipeline[:-1].transform(rows_to_frame(columns, asked))
    found = encode(asked)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.vstack([encode([row]) for row in asked]), wanted)


def test_a_column_that_is_made_anew_under_its_own_name_is_read_anew():
    spec = FeatureSpec.model_validate(
        {"derive": [{"name": "price", "kind": "log", "of": "price"}], "numeric": ["price"], "categorical": ["plan"]}
    )
    pipeline = prepared(spec, "native")
    asked = rows(columns_read(pipeline), seed=3)
    wanted = pipeline[:-1].transform(rows_to_frame(columns_read(pipeline), asked))
    np.testing.assert_array_equal(compile_encoder(pipeline)(asked), wanted)


@pytest.mark.parametrize(
    "derived",
    [
        {"kind": "custom", "transformer": "sklearn.preprocessing:MaxAbsScaler", "of": ["price"]},
        {"kind": "frequency", "of": "at"},
    ],
)
def test_what_is_not_known_exactly_is_not_compiled(derived):
    spec = FeatureSpec.model_validate({"derive": [{"name": "made", **derived}], "numeric": ["made", "price"]})
    with pytest.raises(NotCompilable, match="made is derived"):
        compile_encoder(prepared(spec, "native"))


def test_a_step_more_is_not_compiled():
    pipeline = prepared(FeatureSpec(numeric=("price",)), "native")
    pipeline.steps.insert(3, ("more", FunctionTransformer()))
    with pytest.raises(NotCompilable, match="its steps are read, derive, encode, more"):
        compile_encoder(pipeline)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_rows_survive_a_frame_and_json(seed):
    given_rows = rows(COLUMNS, 6, seed)
    again = frame_to_rows(COLUMNS, rows_to_frame(COLUMNS, given_rows))
    body = msgspec.json.encode({"rows": [row_to_json(COLUMNS, row) for row in given_rows]})
    written = decode_records(build_reader(COLUMNS), body).rows
    # As text, so that a NaN is the same as a NaN.
    assert repr(again) == repr(given_rows) == repr(written)


def test_no_rows_are_a_frame_as_well():
    empty = rows_to_frame(COLUMNS, [])
    assert list(empty.columns) == [column.name for column in COLUMNS]
    assert empty.dtypes.astype(str).to_dict()["plan"] == "category"
