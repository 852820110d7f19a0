import itertools

import numpy as np
import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.data.synthetic import GENERATORS, churn, find_generator, wide
from evergreen.errors import DataError

PERIOD = {"start": "2025-01-01", "end": "2026-01-01"}


def whole(name: str, rows: int, seed: int, **options) -> pd.DataFrame:
    made = find_generator(name)(rows, seed, options)
    return made if isinstance(made, pd.DataFrame) else pd.concat(made, ignore_index=True)


def drifted(kind: str, rows: int = 8000) -> tuple[pd.DataFrame, pd.Series]:
    """A churn table and which of its rows come after the drift."""
    frame = whole("churn", rows, 3, **PERIOD, drift=kind, drift_at="2025-10-01")
    return frame, frame["observed_at"] >= pd.Timestamp(2025, 10, 1)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_seed_gives_one_table_and_another_seed_another(name):
    first = whole(name, 300, 1)
    assert len(first) == 300
    pd.testing.assert_frame_equal(first, whole(name, 300, 1))
    assert not first.equals(whole(name, 300, 2))


@pytest.mark.parametrize("name", GENERATORS)
def test_an_unknown_option_is_named_beside_those_there_are(name):
    with pytest.raises(DataError, match=f"generator {name}: colour: unknown option; options and defaults: ."):
        whole(name, 10, 1, colour="red")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drift": "sideways"}, "drift: Input should be 'none'"),
        ({"start": "soon"}, "start: Invalid isoformat string"),
        ({"start": "2026-01-01", "end": "2025-01-01"}, "is not before end"),
    ],
)
def test_a_wrong_option_says_why(options, message):
    with pytest.raises(DataError, match=message):
        whole("churn", 10, 1, **options)


def test_an_unknown_generator_is_told_the_choices():
    with pytest.raises(DataError, match="choose one of churn, classification, houses, wide, or give module:function"):
        find_generator("chrun")
    with pytest.raises(DataError, match="cannot be imported"):
        find_generator("no_such_module:make")
    with pytest.raises(DataError, match="cannot be imported"):
        find_generator("evergreen.data.snapshot:make")


def test_a_generator_of_ones_own_is_a_source(tmp_path, take, monkeypatch):
    module = "import pandas as pd\ndef make(rows, seed, options):\n    for _ in range(2):\n"
    (tmp_path / "own_tables.py").write_text(module + "        yield pd.DataFrame({'x': [seed] * rows, 'y': 'p'})\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = {"kind": "synthetic", "generator": "own_tables:make", "rows": 3, "seed": 5}
    snapshot = take(source, {"x": "integer", "y": "category"})
    assert read_snapshot(snapshot.path)["x"].tolist() == [5.0] * 6


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("raise KeyError('price')", r"fails with KeyError \('price'\)"),
        ("yield pd.DataFrame({'x': [1], 'y': 'p'}); 1 / 0", "fails with ZeroDivisionError"),
        ("return 5", "fails with TypeError"),
        ("return ['no frame']", "yields str; let it return or yield pandas frames"),
        ("return pd.DataFrame({'x': [1, 'a'], 'y': 'p'})", "a column mixes types"),
    ],
)
def test_a_generator_of_ones_own_that_fails_is_named_with_its_error(tmp_path, take, monkeypatch, made, message):
    name = f"own_mistake_{abs(hash(made))}"
    (tmp_path / f"{name}.py").write_text(f"import pandas as pd\ndef make(rows, seed, options):\n    {made}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=f"generator {name}:make: {message}"):
        take({"kind": "synthetic", "generator": f"{name}:make"}, {"x": "integer", "y": "category"})


def test_a_reference_to_something_else_than_a_generator_is_the_users_mistake(tmp_path, take, monkeypatch):
    with pytest.raises(DataError, match=r"generator json:loads: fails with TypeError .* takes \(rows, seed, options\)"):
        take({"kind": "synthetic", "generator": "json:loads"}, {"x": "integer", "y": "category"})
    (tmp_path / "own_broken.py").write_text("def make(:")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"cannot be imported \(SyntaxError"):
        find_generator("own_broken:make")


def test_customers_are_spread_over_the_period():
    at = whole("churn", 2000, 1, **PERIOD)["observed_at"]
    assert at.is_monotonic_increasing
    assert at.between("2025-01-01", "2025-12-31 23:59:59").all()
    assert at.dt.month.value_counts().min() > 100


@pytest.mark.parametrize("kind", ["covariate", "concept", "prior", "broken_feed"])
def test_drift_touches_no_row_before_it_sets_in(kind):
    plain, _ = drifted("none")
    moved, after = drifted(kind)
    # A column with nulls is one of floats, before the drift too.
    pd.testing.assert_frame_equal(plain[~after], moved[~after], check_dtype=False)
    assert not plain[after].equals(moved[after])


def test_covariate_drift_moves_customers_under_the_same_rule():
    plain, after = drifted("none")
    moved, _ = drifted("covariate")
    assert moved["price"][after].mean() > 1.5 * plain["price"][after].mean()
    assert (moved["region"][after] == "west").mean() > 0.5
    # A customer who would have left or stayed for certain in either world still does.
    rich = after & (moved["price"] * moved["quantity"] > 400) & (moved["plan"] == "pro")
    assert (moved["churn"][rich] == "Yes").mean() < 0.2


def test_concept_drift_leaves_the_customers_and_changes_who_leaves():
    plain, after = drifted("none")
    moved, _ = drifted("concept")
    pd.testing.assert_frame_equal(plain.drop(columns="churn"), moved.drop(columns="churn"))
    assert (plain["churn"] != moved["churn"])[after].mean() > 0.5


def test_prior_drift_changes_how_many_leave_and_not_who_they_are():
    plain, after = drifted("none", rows=30_000)
    moved, _ = drifted("prior", rows=30_000)
    assert (plain["churn"][after] == "Yes").mean() < 0.55
    assert (moved["churn"][after] == "Yes").mean() == pytest.approx(2 / 3, abs=0.02)
    for label in ("Yes", "No"):
        prices = [f["price"][after & (f["churn"] == label)].mean() for f in (plain, moved)]
        assert prices[1] == pytest.approx(prices[0], rel=0.03)


def test_a_broken_feed_sends_minus_one_and_nothing():
    moved, after = drifted("broken_feed")
    assert (moved["price"][after] == -1).mean() == pytest.approx(0.6, abs=0.05)
    assert moved["quantity"][after].isna().mean() == pytest.approx(0.4, abs=0.05)
    assert (moved["price"][~after] > 0).all()
    assert moved["quantity"][~after].notna().all()


def _inputs(frame: pd.DataFrame) -> pd.DataFrame:
    days = (frame["observed_at"] - frame["last_purchase"]).dt.total_seconds() / 86_400
    plans = pd.get_dummies(frame[["plan", "region"]], dtype=float)
    return plans.assign(days=days, spend=frame["quantity"] * frame["price"], price=frame["price"])


def test_churn_can_be_learned_well_past_its_gates():
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import accuracy_score, f1_score

    frame = whole("churn", 20_000, 7, **PERIOD)
    held_out = frame["observed_at"] >= pd.Timestamp(2025, 12, 2)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    model.fit(_inputs(frame[~held_out]), frame["churn"][~held_out])
    predicted = model.predict(_inputs(frame[held_out]))
    assert accuracy_score(frame["churn"][held_out], predicted) >= 0.92
    assert f1_score(frame["churn"][held_out], predicted, average="weighted") >= 0.9


def test_houses_have_a_price_that_can_be_learned_and_rises():
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame = whole("houses", 12_000, 11)
    late = frame["sale_date"] >= pd.Timestamp(2025, 11, 1)
    inputs = frame.drop(columns=["price", "sale_date"]).astype({"kind": "category", "neighbourhood": "category"})
    model = HistGradientBoostingRegressor(max_iter=150, random_state=0, categorical_features="from_dtype")
    score = model.fit(inputs[~late], np.log(frame["price"][~late])).score(inputs[late], np.log(frame["price"][late]))
    assert 0.75 < score < 0.95
    by_year = frame.groupby(frame["sale_date"].dt.year)["price"].median()
    assert 1.0 < by_year[2025] / by_year[2024] < 1.1


def test_a_wide_table_comes_in_parts_in_the_order_of_time():
    parts = list(itertools.islice(wide.generate(250_000, 1, {}), 3))
    assert [len(part) for part in parts] == [100_000, 100_000, 50_000]
    assert parts[0]["event_time"].is_monotonic_increasing
    assert parts[0]["event_time"].iloc[-1] < parts[1]["event_time"].iloc[0]
    assert len(parts[0].columns) == 32
    assert 0.2 < (parts[0]["target"] == "yes").mean() < 0.6


def test_drift_sets_in_after_three_quarters_unless_said_otherwise():
    assert churn.ChurnOptions.model_validate({"start": "2025-01-01", "end": "2025-01-05"}).drift_from.day == 4
