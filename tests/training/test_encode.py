"""Encoded folds: fitted on their own training part, whole or not there, and encoded once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.errors import DataError, IntegrityError
from evergreen.training.encode import encode_fold, encode_folds, join_folds, plan_folds, read_fold, read_index

TIME = {"kind": "time", "holdout": "20d"}


@pytest.mark.parametrize("encoding", ["scaled", "imputed", "native"])
def test_folds_hold_the_rows_of_their_plan_as_float32(customers, spec_of, table_of, tmp_path, encoding):
    spec = spec_of(split=TIME)
    table = table_of(customers(), spec)
    folds, plan = encode_folds(table, spec.training, encoding, tmp_path), plan_folds(table, spec.training)
    assert folds.folds == 3
    for index, (train, validation) in enumerate(plan.sides):
        fold = read_fold(folds, index)
        assert fold.train.dtype == np.float32
        assert fold.train.shape == (len(train), folds.columns)
        assert len(fold.validation) == len(validation)
        assert (fold.y_train == plan.y[train]).all()
    assert read_index(folds)["classes"] == ["high", "low", "mid"]


def test_preprocessing_of_a_fold_never_sees_what_it_validates_on(customers, spec_of, table_of, tmp_path):
    spec = spec_of(split=TIME)
    frame = customers()
    table = table_of(frame, spec)
    validation = plan_folds(table, spec.training).sides[-1][1]
    planted = read_snapshot(table.path).iloc[table.train_positions()[validation]]["price"]
    frame["at"] = pd.to_datetime(frame["at"])
    leaked = frame.assign(
        price=frame["price"].where(~frame["price"].isin(planted), 1e6),
        plan=frame["plan"].where(~frame["price"].isin(planted), "planted"),
    )
    clean, dirty = (
        read_fold(encode_folds(t, spec.training, "scaled", tmp_path / n), 2)
        for n, t in (("clean", table), ("dirty", table_of(leaked, spec)))
    )
    assert (clean.train == dirty.train).all()
    assert clean.train.shape[1] == dirty.validation.shape[1]
    assert dirty.validation[:, 0].min() > 1000


def test_folds_can_be_encoded_one_by_one(customers, spec_of, table_of, tmp_path):
    spec = spec_of()
    table = table_of(customers(), spec)
    together = encode_folds(table, spec.training, "native", tmp_path / "together")
    with pytest.raises(IntegrityError, match="a fold is not encoded"):
        join_folds(table, spec.training, "native", tmp_path / "apart")
    for index in (2, 0, 1):
        encode_fold(table, spec.training, "native", index, tmp_path / "apart")
    apart = join_folds(table, spec.training, "native", tmp_path / "apart")
    assert read_index(apart) == read_index(together)
    for index in range(3):
        np.testing.assert_array_equal(read_fold(apart, index).train, read_fold(together, index).train)


def test_a_finished_fold_is_kept_and_an_unfinished_one_is_made_again(customers, spec_of, table_of, tmp_path):
    spec = spec_of()
    table = table_of(customers(), spec)
    place = Path(encode_folds(table, spec.training, "scaled", tmp_path).path)
    written = {path.name: path.stat().st_mtime_ns for path in place.glob("*.npy")}
    (place / "fold-1.json").unlink()
    encode_folds(table, spec.training, "scaled", tmp_path)
    changed = {path.name for path in place.glob("*.npy") if path.stat().st_mtime_ns != written[path.name]}
    assert changed == {name for name in written if name.startswith("fold-1-")}


def test_other_rows_features_or_folds_are_encoded_anew(customers, spec_of, table_of, tmp_path):
    spec = spec_of()
    table = table_of(customers(), spec)
    fewer = spec_of(cross_validation={"folds": 2})
    plain = spec.features.model_copy(update={"categorical": ()})
    places = {
        encode_folds(t, s.training, e, tmp_path).path
        for t, s, e in (
            (table, spec, "scaled"),
            (table, spec, "imputed"),
            (table, fewer, "scaled"),
            (replace(table, features=plain), spec, "scaled"),
            (table_of(customers(seed=1), spec), spec, "scaled"),
        )
    }
    assert len(places) == 5


def test_a_cleared_folder_is_said_to_be_cleared(customers, spec_of, table_of, tmp_path):
    spec = spec_of()
    folds = encode_folds(table_of(customers(), spec), spec.training, "scaled", tmp_path)
    for path in Path(folds.path).iterdir():
        path.unlink()
    with pytest.raises(IntegrityError, match="run the training again"):
        read_index(folds)
    with pytest.raises(IntegrityError, match="run the training again"):
        read_fold(folds, 0)


def test_groups_stay_whole_in_the_folds_of_a_spec_with_a_group_column(customers, spec_of, table_of):
    spec = spec_of()
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"group_column": "shop"})})
    table = table_of(customers(), spec)
    shops = read_snapshot(table.path, ["shop"])["shop"].to_numpy()[table.train_positions()]
    for train, validation in plan_folds(table, spec.training).sides:
        assert not set(shops[train]) & set(shops[validation])


def test_too_few_rows_for_the_folds_write_nothing(customers, spec_of, table_of, tmp_path):
    spec = spec_of(cross_validation={"folds": 50})
    table = table_of(customers(40), spec)
    with pytest.raises(DataError, match="too few for 50 folds"):
        encode_folds(table, spec.training, "scaled", tmp_path / "new")
    assert not (tmp_path / "new").exists()
