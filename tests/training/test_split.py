"""Laws of the split: nothing newer is learned from, no row stands on both sides, and sides last."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.data.frame import read_snapshot
from evergreen.errors import DataError
from evergreen.spec.columns import TableRules
from evergreen.spec.training import RandomSplit, TimeSplit
from evergreen.training.encode import plan_folds
from evergreen.training.rowkeys import content_keys, hashed, mixed, named_keys
from evergreen.training.split import random_positions, read_positions, split_rows, time_positions

START = np.datetime64("2026-01-01", "us")
days = st.lists(st.one_of(st.integers(0, 60), st.none()), min_size=2, max_size=80)


def moments(values):
    return np.array([np.datetime64("NaT", "us") if v is None else START + np.timedelta64(v, "D") for v in values])


def by_time(values, labelled=None, holdout=10, gap=0, groups=None):
    labelled = np.ones(len(values), dtype=bool) if labelled is None else np.array(labelled)
    split = TimeSplit(kind="time", holdout=timedelta(days=holdout), gap=timedelta(days=gap) if gap else None)
    return time_positions(moments(values), labelled, split, groups)


@given(days, st.data(), st.integers(1, 20), st.integers(0, 5))
def test_every_training_row_is_older_than_every_held_out_row(values, data, holdout, gap):
    labelled = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    try:
        train, held = by_time(values, labelled, holdout, gap)
    except DataError:
        return
    times = moments(values)
    assert times[train].max() + np.timedelta64(gap, "D") < times[held].min()
    assert np.array(labelled)[train].all()
    assert np.array(labelled)[held].all()
    newest = times[[v is not None and known for v, known in zip(values, labelled, strict=True)]].max()
    assert times[held].min() > newest - np.timedelta64(holdout, "D")


@given(days, st.data())
def test_a_group_never_stands_on_both_sides_of_a_time_split(values, data):
    groups = np.array(data.draw(st.lists(st.integers(0, 5), min_size=len(values), max_size=len(values))))
    try:
        train, held = by_time(values, groups=groups)
    except DataError:
        return
    assert not set(groups[train]) & set(groups[held])


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.booleans()), min_size=1, max_size=120),
    st.floats(0.05, 0.95),
    st.integers(0, 3),
)
def test_equal_keys_stand_on_one_side_and_only_labelled_rows_on_any(rows, share, seed):
    keys = np.array([key for key, _, _ in rows], dtype=np.uint64)
    classes = np.array([cls for _, cls, _ in rows])
    labelled = np.array([known for _, _, known in rows])
    try:
        train, held = random_positions(keys, labelled, RandomSplit(kind="random", holdout=share, seed=seed), classes)
    except DataError:
        return
    assert sorted([*train, *held]) == np.flatnonzero(labelled).tolist()
    assert not set(keys[train]) & set(keys[held])


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_random_holdout_has_exactly_its_share_of_each_class(share):
    keys, classes = mixed(np.arange(1000, dtype=np.uint64)), np.repeat([0, 1], [900, 100])
    _, held = random_positions(keys, np.ones(1000, dtype=bool), RandomSplit(kind="random", holdout=share), classes)
    assert np.bincount(classes[held]).tolist() == [900 * share, 100 * share]


def test_another_seed_holds_out_other_rows():
    keys, labelled = mixed(np.arange(100, dtype=np.uint64)), np.ones(100, dtype=bool)
    sides = [set(random_positions(keys, labelled, RandomSplit(kind="random", seed=s))[1].tolist()) for s in (1, 1, 2)]
    assert sides[0] == sides[1] != sides[2]


def test_nearly_every_row_keeps_its_side_when_the_table_grows():
    keys, split = mixed(np.arange(1100, dtype=np.uint64)), RandomSplit(kind="random", holdout=0.2)
    before = set(random_positions(keys[:1000], np.ones(1000, dtype=bool), split)[1].tolist())
    after = set(random_positions(keys, np.ones(1100, dtype=bool), split)[1].tolist())
    assert len(before ^ {row for row in after if row < 1000}) <= 20


@pytest.mark.parametrize(
    ("values", "labelled", "options", "message"),
    [
        ([1, 2], [False, False], {}, "no row has a label and a time"),
        ([None, None], None, {}, "no row has a label and a time"),
        ([1, 2, 3], None, {}, "holdout 10d leaves no row to train on: the 3 labelled rows span 2026-01-02"),
        ([1, 20], None, {"gap": 15}, "shorten holdout or gap"),
        ([1, 20], None, {"groups": np.array([7, 7])}, "leaves no row to train on"),
    ],
)
def test_a_time_split_without_a_side_says_what_to_change(values, labelled, options, message):
    with pytest.raises(DataError, match=message):
        by_time(values, labelled, **options)


def test_a_random_split_of_equal_rows_says_what_to_change():
    with pytest.raises(DataError, match=r"10 labelled rows \(1 distinct\).*name data.id_column"):
        random_positions(np.zeros(10, dtype=np.uint64), np.ones(10, dtype=bool), RandomSplit(kind="random"))


def split(table, spec, folder):
    rows = split_rows(table.path, spec.data, spec.training.split, spec.task, folder)
    return rows, *read_positions(rows)


def test_a_stored_time_split_carries_its_times(customers, spec_of, snapshot_of, tmp_path):
    spec = spec_of(split={"kind": "time", "holdout": "20d", "gap": "2d"})
    snapshot = snapshot_of(customers(), spec)
    rows, train, held = split(snapshot, spec, tmp_path)
    times = read_snapshot(snapshot.path, ["at"])["at"]
    assert (rows.train_rows, rows.holdout_rows) == (len(train), len(held))
    assert rows.train_until == times[train].max().tz_localize("UTC")
    assert rows.holdout_from == times[held].min().tz_localize("UTC")
    assert rows.holdout_until == times[held].max().tz_localize("UTC")
    assert rows.train_until + timedelta(days=2) < rows.holdout_from


@pytest.mark.parametrize(("gap", "days"), [(None, 6), ("0d", 0), ("2d", 2)])
def test_no_label_is_learned_from_that_was_not_known_when_the_holdout_began(customers, spec_of, table_of, gap, days):
    spec = spec_of(split={"kind": "time", "holdout": "20d", "gap": gap})
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"label_delay": timedelta(days=6)})})
    table = table_of(customers(), spec)
    assert timedelta(days=days) < table.split.holdout_from - table.split.train_until < timedelta(days=days + 2)
    times = table.read_times(table.train_positions())
    waits = [times[held].min() - times[train].max() for train, held in plan_folds(table, spec.training).sides]
    assert min(waits) >= np.timedelta64(days, "D")
    assert min(waits) < np.timedelta64(days + 2, "D")


def test_rows_without_a_label_stand_on_neither_side(customers, spec_of, snapshot_of, tmp_path):
    spec = spec_of()
    frame = customers()
    frame.loc[:59, "level"] = None
    rows, train, held = split(snapshot_of(frame, spec), spec, tmp_path)
    assert rows.train_rows + rows.holdout_rows == 180
    assert min(train.min(), held.min()) >= 60
    assert rows.holdout_from is None


def test_identical_rows_stand_on_one_side_and_keep_it_in_another_order(customers, spec_of, snapshot_of, tmp_path):
    spec = spec_of()
    frame = pd.concat([customers(), customers()], ignore_index=True)
    sides = []
    for table in (frame, frame.sample(frac=1, random_state=0)):
        snapshot = snapshot_of(table, spec)
        _, train, held = split(snapshot, spec, tmp_path)
        prices = read_snapshot(snapshot.path, ["price"])["price"]
        assert not set(prices[train]) & set(prices[held])
        sides.append(set(prices[held]))
    assert sides[0] == sides[1]


def test_ids_hold_rows_together_and_a_row_without_one_stands_for_itself(customers, spec_of, snapshot_of, tmp_path):
    spec = spec_of()
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"id_column": "shop"})})
    frame = customers()
    frame.loc[frame.index >= 120, "shop"] = None
    snapshot = snapshot_of(frame, spec)
    _, train, held = split(snapshot, spec, tmp_path)
    shops = read_snapshot(snapshot.path, ["shop"])["shop"]
    assert not set(shops[train].dropna()) & set(shops[held].dropna())
    assert len(np.unique(named_keys(snapshot.path, "shop"))) == 12 + 120
    assert shops[train].isna().any()
    assert shops[held].isna().any()


def test_a_training_side_with_one_class_is_refused(customers, spec_of, snapshot_of, tmp_path):
    spec = spec_of(split={"kind": "time", "holdout": "5d"})
    frame = customers()
    frame["level"] = np.where(frame["at"] > frame["at"].max() - pd.Timedelta(days=4), "high", "low")
    with pytest.raises(DataError, match="training rows are 'low'; a classifier needs two classes"):
        split(snapshot_of(frame, spec), spec, tmp_path)


def test_keys_depend_on_values_and_not_on_how_they_are_stored(customers, spec_of, snapshot_of):
    one = hashed(pd.Series(pd.Categorical(["a", "b", None])))
    other = hashed(pd.Series(pd.Categorical(["a", "b", None], categories=["z", "b", "a"])))
    assert (one == other).all()
    assert len(set(one)) == 3
    snapshot = snapshot_of(customers(), spec_of())
    assert len(np.unique(content_keys(snapshot.path))) == 240


@pytest.fixture
def draw_of(customers, spec_of, snapshot_of, tmp_path):
    """The name of the draw of a random split over customers."""

    def name(frame=None, holdout=0.25, seed=1, types=None, **data):
        spec = spec_of(split={"kind": "random", "holdout": holdout, "seed": seed})
        changes = {"data": spec.data.model_copy(update=data)}
        if types:
            changes["table"] = TableRules.model_validate({"columns": {n: {"type": t} for n, t in types.items()}})
        spec = spec.model_copy(update=changes)
        return split(snapshot_of(customers() if frame is None else frame, spec), spec, tmp_path)[0].draw

    return name


def test_a_draw_by_all_columns_is_another_with_one_column_more(draw_of):
    assert draw_of() == draw_of()
    assert len({draw_of(), draw_of(types={"spend": "number"}), draw_of(types={"units": "integer"})}) == 3


@pytest.mark.parametrize("key", ["id_column", "group_column"])
def test_a_draw_by_name_is_the_same_whatever_the_other_columns(draw_of, key):
    assert draw_of(**{key: "shop"}) == draw_of(types={"spend": "number"}, **{key: "shop"})
    draws = [draw_of(), draw_of(**{key: "shop"}), draw_of(**{key: "id"}), draw_of(seed=2, **{key: "shop"})]
    draws += [draw_of(holdout=0.5, **{key: "shop"}), draw_of(types={"shop": "category"}, **{key: "shop"})]
    assert len(set(draws)) == 6


def test_rows_without_a_name_are_drawn_by_all_columns(draw_of, customers):
    frame = customers()
    frame.loc[7, "id"] = None
    draws = {
        draw_of(table, id_column="id", types=t) for table in (frame, customers()) for t in (None, {"spend": "number"})
    }
    assert len(draws) == 3


def test_a_block_of_time_is_no_draw(customers, spec_of, snapshot_of, tmp_path):
    spec = spec_of(split={"kind": "time", "holdout": "20d"})
    assert split(snapshot_of(customers(), spec), spec, tmp_path)[0].draw == ""
