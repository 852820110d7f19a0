from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.cli.init import init_spec
from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot
from evergreen.errors import DataError, UserError
from evergreen.spec import ModelSpec, load_spec
from evergreen.spec.data import CsvSource
from evergreen.spec.training import RandomSplit, TimeSplit
from evergreen.validation.validate import validate

ROWS = 400
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def customers(rows: int = ROWS) -> pd.DataFrame:
    """Twenty faults of real tables in one: ids, a leak, a constant, blanks, codes, dates, a rare flag."""
    rng = np.random.default_rng(0)
    left = rng.random(rows) < 0.25
    when = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 300, rows)), unit="D")
    total = rng.uniform(10, 5000, rows).round(2).astype(str)
    total[:8] = " "
    return pd.DataFrame(
        {
            "customerID": [f"C-{i:05d}" for i in range(rows)],
            "observed_at": when.strftime("%Y-%m-%d %H:%M:%S"),
            "last_purchase": (when - pd.to_timedelta(rng.uniform(0, 90, rows), unit="D")).strftime("%Y-%m-%d"),
            "zip_code": rng.choice(["01067", "10115", "80331"], rows),
            "plan": rng.choice(["basic", "plus", "unknown"], rows),
            "city": [f"town {n}" for n in rng.integers(0, 150, rows)],
            "country": "DE",
            "visits": rng.integers(0, 90, rows),
            "rate": rng.normal(0, 1, rows).round(3),
            "TotalCharges": total,
            "cancelled": np.where(left, "Y", "N"),
            "churn": np.where(left, "Yes", "No"),
        }
    )


def rides(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    hours = pd.date_range("2023-01-01", periods=rows, freq="37h")
    casual, registered = rng.integers(0, 40, rows), rng.integers(0, 400, rows)
    return pd.DataFrame(
        {
            "instant": range(1, rows + 1),
            "at": hours.strftime("%d.%m.%Y %H:%M"),
            "yr": hours.year - 2023,
            "mnth": hours.month,
            "temp": rng.uniform(0.02, 0.98, rows).round(2),
            "casual": casual,
            "registered": registered,
            "cnt": casual + registered,
        }
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(frame: pd.DataFrame, name: str = "table.csv", **options: object) -> Path:
        path = tmp_path / name
        frame.to_csv(path, index=False, **options)
        return path

    return write


def written(data: Path, target: str, time: str | None = None, model: str = "tried") -> tuple[ModelSpec, str]:
    out = data.parent / "configs" / f"{model}.yaml"
    text = init_spec(model, data, target, time, out)
    return load_spec(out), text


@pytest.fixture(scope="module")
def customers_spec(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelSpec, str]:
    path = tmp_path_factory.mktemp("customers") / "table.csv"
    customers().to_csv(path, index=False)
    return written(path, "churn")


def test_a_table_of_customers_becomes_a_spec_that_an_expert_would_write(customers_spec: tuple[ModelSpec, str]) -> None:
    spec, _ = customers_spec
    columns = spec.table.columns

    assert (spec.task, spec.training.metric) == ("classification", "roc_auc")
    assert (spec.data.time_column, spec.data.id_column) == ("observed_at", "customerID")
    assert isinstance(spec.training.split, TimeSplit)
    assert spec.features.categorical == ("zip_code", "plan")
    assert set(spec.features.numeric) == {
        *("visits", "rate", "TotalCharges"),
        *("hour", "weekday", "days_since_last_purchase", "city_frequency"),
    }
    assert columns["TotalCharges"].type == "number"
    assert columns["zip_code"].allowed == ("01067", "10115", "80331")
    assert columns["plan"].allowed == ("basic", "plus", "unknown")
    assert columns["plan"].unseen == "warn"
    assert columns["churn"].allowed == ("No", "Yes")
    assert columns["visits"].min == 0
    assert columns["rate"].min is None
    assert columns["customerID"].unique


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("customerID", "names each row once"),
        ("country", "has the same value in every row"),
        ("cancelled", "suspected leak: it alone predicts churn nearly perfectly (ROC AUC 1.000)"),
    ],
)
def test_what_is_left_out_is_said_with_its_reason(
    customers_spec: tuple[ModelSpec, str], column: str, reason: str
) -> None:
    spec, text = customers_spec

    assert f"  #   {column}: {reason}" in text
    assert column not in spec.features.columns


def test_parts_that_add_up_to_the_target_are_leaks_and_what_tells_the_year_is_left_out(
    write: Callable[..., Path],
) -> None:
    spec, text = written(write(rides()), "cnt")

    assert (spec.task, spec.training.metric) == ("regression", "mae")
    assert spec.gates.against_champion is not None
    assert spec.gates.against_champion.relative
    assert spec.features.numeric == ("mnth", "temp", "hour", "weekday")
    assert "#   casual: suspected leak: casual + registered = cnt in every row" in text
    assert "#   registered: suspected leak" in text
    assert "#   yr: tells the year of at" in text


def test_an_honest_strong_predictor_is_no_leak(write: Callable[..., Path]) -> None:
    frame = rides()[["temp", "mnth"]]
    noise = np.random.default_rng(2).normal(0, 0.05, len(frame))

    spec, _ = written(write(frame.assign(load=frame["temp"] + noise)), "load")

    assert "temp" in spec.features.numeric


@pytest.mark.parametrize(
    ("frame", "target"),
    [(customers(), "churn"), (rides(), "cnt"), (customers(60).drop(columns="observed_at"), "churn")],
)
def test_the_table_it_was_written_from_passes_its_own_checks(
    write: Callable[..., Path], tmp_path: Path, frame: pd.DataFrame, target: str
) -> None:
    spec, _ = written(write(frame), target)

    snapshot = take_snapshot(spec.data, spec.column_types, AS_OF, str(tmp_path / "snapshots"))
    validation = validate(read_snapshot(snapshot.path), snapshot, spec, None)

    assert (snapshot.rows, snapshot.faults) == (len(frame), ())
    assert validation.passed, validation.broken
    assert validation.warnings == ()


def test_without_a_time_the_split_is_random_and_dates_are_left_out(write: Callable[..., Path]) -> None:
    spec, text = written(write(customers().drop(columns="observed_at")), "churn")

    assert isinstance(spec.training.split, RandomSplit)
    assert spec.data.time_column is None
    assert "#   last_purchase: is a date, and without data.time_column" in text


def test_a_suspected_time_is_said_to_be_one_and_a_given_one_is_not(
    customers_spec: tuple[ModelSpec, str], write: Callable[..., Path]
) -> None:
    _, given = written(write(customers()), "churn", "last_purchase")

    said = [next(line for line in text.splitlines() if "time_column:" in line) for text in (customers_spec[1], given)]
    assert ["suspected" in line for line in said] == [True, False]


def test_a_date_after_the_row_is_not_known_yet(write: Callable[..., Path]) -> None:
    frame = customers()
    later = (pd.to_datetime(frame["observed_at"]) + timedelta(days=20)).dt.strftime("%Y-%m-%d")

    spec, text = written(write(frame.assign(paid_on=later)), "churn", "observed_at")

    assert "#   paid_on: lies after observed_at in most rows" in text
    assert "paid_on" not in spec.column_types


def test_the_time_holdout_is_round_and_holds_about_a_fifth(customers_spec: tuple[ModelSpec, str]) -> None:
    spec, _ = customers_spec

    assert isinstance(spec.training.split, TimeSplit)
    assert timedelta(days=42) <= spec.training.split.holdout <= timedelta(days=60)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sep": ";", "quoting": 1}, CsvSource(kind="csv", path="", separator=";")),
        ({"sep": "\t"}, CsvSource(kind="csv", path="", separator="\t")),
        ({"sep": ";", "decimal": ","}, CsvSource(kind="csv", path="", separator=";", decimal=",")),
        ({"encoding": "cp1252"}, CsvSource(kind="csv", path="", encoding="cp1252")),
        ({"encoding": "utf-16"}, CsvSource(kind="csv", path="", encoding="utf-16")),
        ({"encoding": "utf-8-sig"}, CsvSource(kind="csv", path="")),
        ({"na_rep": "?"}, None),
    ],
)
def test_ugly_formats_are_found_and_written_down(
    write: Callable[..., Path], tmp_path: Path, options: dict[str, str], expected: CsvSource | None
) -> None:
    frame = customers().assign(Stadt="Köln", visits=lambda f: f["visits"].where(f["visits"] > 3))
    frame["Stadt"] = np.where(frame["visits"] > 40, "Köln", "Kiel")

    spec, _ = written(write(frame, **options), "churn")

    source = spec.data.source
    assert isinstance(source, CsvSource)
    if expected is None:
        assert "?" in source.null_values
    else:
        assert source.model_copy(update={"path": ""}) == expected
    assert spec.table.columns["rate"].type == "number"
    assert spec.table.columns["Stadt"].allowed == ("Kiel", "Köln")
    assert not take_snapshot(spec.data, spec.column_types, AS_OF, str(tmp_path / "s")).faults


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_days_before_months_are_found_and_written_down(tmp_path: Path, suffix: str) -> None:
    frame = customers()
    days = pd.to_datetime(frame["last_purchase"])
    frame = frame.assign(last_purchase=days.dt.strftime("%d/%m/%Y"))
    path = tmp_path / f"table.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)

    spec, text = written(path, "churn")

    assert spec.data.source.day_first
    assert "day_first: true}  # some dates can only have their day first" in text
    snapshot = take_snapshot(spec.data, spec.column_types, AS_OF, str(tmp_path / "s"))
    assert snapshot.faults == ()
    assert read_snapshot(snapshot.path)["last_purchase"].tolist() == days.tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("first", [10**17, 10**18, 10**19])
def test_numbers_too_long_to_be_counted_are_names_and_no_features(tmp_path: Path, suffix: str, first: int) -> None:
    long = [first + n for n in range(ROWS)]
    frame = customers().drop(columns="customerID").assign(account=long, shop=np.resize(long[:7], ROWS))
    path = tmp_path / f"table.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)

    spec, _ = written(path, "churn")

    assert (spec.data.id_column, spec.column_types["account"]) == ("account", "text")
    assert "shop" not in spec.column_types
    snapshot = take_snapshot(spec.data, spec.column_types, AS_OF, str(tmp_path / "s"))
    assert validate(read_snapshot(snapshot.path), snapshot, spec, None).passed


@pytest.mark.parametrize("first", [1.7e12, 1234567890999.0, 40.7])
def test_a_range_holds_the_values_that_it_was_written_from(write: Callable[..., Path], first: float) -> None:
    frame = customers().assign(far=[first + n % 3 * 0.25 + n % 11 for n in range(ROWS)])

    spec, _ = written(write(frame), "churn")

    rules = spec.table.columns["far"]
    assert rules.min is not None
    assert rules.max is not None
    assert rules.min <= frame["far"].min() <= frame["far"].max() <= rules.max


def test_parquet_keeps_the_types_it_has(tmp_path: Path) -> None:
    frame = customers().assign(
        observed_at=lambda f: pd.to_datetime(f["observed_at"]), vip=np.arange(ROWS) % 3 == 0, cancelled=0.0
    )
    path = tmp_path / "table.parquet"
    frame.to_parquet(path)

    spec, _ = written(path, "vip")

    assert spec.table.columns["vip"].allowed == ("False", "True")
    assert spec.column_types["observed_at"] == "datetime"
    assert take_snapshot(spec.data, spec.column_types, AS_OF, str(tmp_path / "s")).labelled == ROWS


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["0", "1"], ("0", "1")), (["TRUE", "FALSE"], ("FALSE", "TRUE")), (["1", "2", "3"], ("1", "2", "3"))],
)
def test_few_integers_and_booleans_are_classes_as_the_file_writes_them(
    write: Callable[..., Path], tmp_path: Path, values: list[str], classes: tuple[str, ...]
) -> None:
    frame = customers().assign(churn=np.resize(values, ROWS))

    spec, _ = written(write(frame), "churn")

    assert spec.task == "classification"
    assert spec.table.columns["churn"].allowed == classes
    snapshot = take_snapshot(spec.data, spec.column_types, AS_OF, str(tmp_path / "s"))
    assert tuple(read_snapshot(snapshot.path, ["churn"])["churn"].cat.categories) == classes


def test_integers_that_are_no_classes_are_a_regression(write: Callable[..., Path]) -> None:
    assert written(write(customers(30)[["rate", "visits"]]), "visits")[0].task == "regression"
    assert written(write(rides()), "casual", model="other")[0].task == "regression"


def test_names_that_yaml_would_misread_survive(write: Callable[..., Path]) -> None:
    names = {"visits": "on", "rate": "null", "plan": "Length (mm): a, b", "churn": "y"}

    spec, _ = written(write(customers().rename(columns=names)), "y")

    assert {"on", "null", "Length (mm): a, b", "y"} <= set(spec.column_types)


@pytest.mark.parametrize("broken", ["two\nlines", "a\r\nb: {c", "next\u2028line", "bell\x07 # no", "😀\n😀", "x" * 300])
def test_a_header_with_line_breaks_becomes_a_spec_that_loads(write: Callable[..., Path], broken: str) -> None:
    used = ("customerID", "visits", "plan", "observed_at", "last_purchase", "churn", "city")
    frame = customers(300)

    spec, text = written(write(frame.rename(columns=lambda name: f"{broken} {name}")), f"{broken} churn")

    assert set(spec.column_types) >= {f"{broken} {name}" for name in used}
    assert "cancelled: suspected leak" in text


def test_classes_with_line_breaks_are_shown_on_one_line(write: Callable[..., Path]) -> None:
    spec, text = written(write(customers().replace({"churn": {"Yes": "Yes,\nleft"}})), "churn")

    assert spec.table.columns["churn"].allowed == ("No", "Yes,\nleft")
    assert "# churn: No 7" in text
    assert "Yes, left" in text


def test_what_would_not_load_is_not_written(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.scaffold.write._head", lambda plan: iter(["model: tried", "task: guessing"]))
    path = write(customers())

    with pytest.raises(UserError, match=r"tried\.yaml:2: task: unknown 'guessing'(?s:.)*so none was written"):
        written(path, "churn")

    assert not (path.parent / "configs").exists()


def test_odd_extremes_and_codes_for_missing_are_pointed_out(write: Callable[..., Path]) -> None:
    frame = customers(3000)
    frame.loc[5, "visits"] = 9000
    frame["days_open"] = np.where(np.arange(3000) % 2, -1, frame.index % 200)

    _, text = written(write(frame), "churn")

    assert "# the largest is 9000, but 99.9% are at most" in text
    assert "# 50% are -1 and none else is negative: does it mean missing?" in text


@pytest.mark.parametrize(
    ("target", "time", "expected"),
    [
        ("Chrun", None, "--target: the table has no column 'Chrun'; did you mean churn?"),
        ("xyz", None, "--target: the table has no column 'xyz'; it has: customerID, observed_at"),
        ("churn", "observed", "--time: the table has no column 'observed'; did you mean observed_at?"),
        ("churn", "plan", "--time: plan holds category values and no dates; dates are in: observed_at, last_purchase"),
        ("churn", "churn", "--time: churn is the target"),
        ("country", None, "--target: country has one value in all 400 rows"),
        ("customerID", None, "--target: customerID has 400 different values in 400 rows: too many to be classes"),
        ("observed_at", None, "--target: observed_at holds dates"),
    ],
)
def test_a_wrong_column_is_one_clear_error_and_writes_nothing(
    write: Callable[..., Path], target: str, time: str | None, expected: str
) -> None:
    path = write(customers())

    with pytest.raises(UserError) as caught:
        written(path, target, time)

    assert expected in str(caught.value)
    assert not list((path.parent).glob("configs/*"))


def test_an_existing_spec_is_overwritten_only_by_force(write: Callable[..., Path]) -> None:
    path = write(customers())
    out = path.parent / "churn.yaml"
    out.write_text("mine", encoding="utf-8")

    with pytest.raises(UserError, match="is there already; choose another name, or overwrite it with --force"):
        init_spec("churn", path, "churn", None, out)
    assert out.read_text(encoding="utf-8") == "mine"

    assert init_spec("churn", path, "churn", None, out, force=True) == out.read_text(encoding="utf-8")
    assert sorted(p.name for p in path.parent.iterdir()) == ["churn.yaml", "table.csv"]


@pytest.mark.parametrize("name", ["9lives", "a b", "../x", ""])
def test_a_name_that_is_none_is_refused(write: Callable[..., Path], name: str) -> None:
    with pytest.raises(UserError, match="is no name for a model"):
        init_spec(name, write(customers()), "churn", None, Path("never.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("1,2\n3,4\n", "the first line holds numbers"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ("a,a\n1,2\n", "stands twice"),
    ],
)
def test_a_file_that_is_no_table_is_one_clear_error(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DataError, match=expected):
        written(path, "a")


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        written(tmp_path / "none.csv", "a")


def test_a_table_with_nothing_to_learn_from_says_so(write: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="no column is left to predict churn from: customerID names each row once"):
        written(write(customers()[["customerID", "country", "churn"]]), "churn")
