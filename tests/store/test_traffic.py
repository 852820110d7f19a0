"""What serving answered is kept in groups, and read by time, with what came true as it was known at a moment."""

import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.address import with_driver
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.store.ground_truth import Outcome, keep, labels_of, read_labels, winners
from evergreen.store.ledger import Ledger
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.tables import ground_truth, metadata, predictions
from evergreen.store.tables import traffic as traffic_table
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_group import MOST_ROWS, pack, split, unpack
from evergreen.store.traffic_writer import TrafficWriter
from tests.store.blocks import block

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
GUIDE = Path(__file__).parents[2] / "docs" / "traffic.md"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def prediction(place: int = 0, **changes) -> Prediction:
    made = Prediction(
        id=f"r{place}.0",
        request=f"r{place}",
        model="churn",
        version=3,
        role=Role.CHAMPION,
        at=NOW + timedelta(minutes=place),
        inputs={"price": place + 0.25, "plan": "basic", "since": None},
        prediction="no",
        probabilities={"no": 0.75, "yes": 0.25},
        latency_ms=1.5,
    )
    return replace(made, **changes)


def label(of: int | str = 0, said: object = "yes", days: float = 1, **changes) -> Feedback:
    at = NOW + timedelta(days=days)
    return replace(Feedback("churn", said, at, at, prediction_id=f"r{of}.0"), **changes)


@pytest.fixture
def traffic(ledger: Ledger) -> Traffic:
    return Traffic(ledger.url)


def ids(captured) -> list[str]:
    return captured.answers.column("id").to_pylist()


def window(traffic: Traffic, since: datetime = NOW - DAY, until: datetime = NOW + DAY, **options):
    return traffic.window("churn", since, until, **options)


def labelled(traffic: Traffic, days: float = 60, **options) -> dict[str, object]:
    found = traffic.labelled("churn", NOW - DAY, NOW + 60 * DAY, NOW + timedelta(days=days), **options)
    return dict(zip(ids(found), found.answers.column("label").to_pylist(), strict=True))


# ---- predictions


def test_what_is_read_is_what_was_answered(traffic):
    traffic.write([prediction(1, row_id="c7", explored=True)], NOW + HOUR)
    found = window(traffic)
    assert found.inputs.to_pylist() == [{"price": 1.25, "plan": "basic", "since": None}]
    assert found.answers.to_pylist() == [
        {
            "id": "r1.0",
            "request": "r1",
            "row_id": "c7",
            "at": NOW + timedelta(minutes=1),
            "version": 3,
            "role": "champion",
            "written_at": NOW + HOUR,
            "prediction": "no",
            "latency_ms": 1.5,
            "explored": True,
            "probability_no": 0.75,
            "probability_yes": 0.25,
        }
    ]


def test_a_window_has_its_beginning_and_not_its_end(traffic):
    traffic.write([prediction(place) for place in range(6)], NOW)
    minute = timedelta(minutes=1)
    assert ids(window(traffic, NOW + minute, NOW + 4 * minute)) == ["r1.0", "r2.0", "r3.0"]
    assert ids(window(traffic, NOW + 9 * minute)) == []


def test_any_number_of_rows_in_any_order_is_found_again_whatever_groups_they_came_in(traffic):
    draw = random.Random(7)
    rows = [prediction(place, version=draw.choice([3, 4]), at=NOW + place * HOUR / 9) for place in range(60)]
    draw.shuffle(rows)
    with TrafficWriter(traffic.url) as writer:
        for start in range(0, 60, 7):
            writer.write(rows[start : start + 7], NOW)
    for since, until in ((0, 60), (13, 14), (25, 41), (59, 60)):
        wanted = {f"r{place}.0" for place in range(since, until)}
        assert set(ids(window(traffic, NOW + since * HOUR / 9, NOW + until * HOUR / 9))) == wanted
    of_three = {row.id for row in rows if row.version == 3}
    assert set(ids(window(traffic, version=3))) == of_three


def test_other_models_are_not_seen(traffic):
    traffic.write([prediction(1), prediction(2, model="demand")], NOW)
    assert ids(window(traffic)) == ["r1.0"]
    assert traffic.forget("demand", NOW + DAY) == 1
    assert ids(window(traffic)) == ["r1.0"]


def test_only_the_columns_that_are_asked_for_come(traffic):
    traffic.write([prediction()], NOW)
    assert window(traffic, columns=["plan", "tariff"]).inputs.to_pylist() == [{"plan": "basic", "tariff": None}]


def test_a_field_that_came_later_is_null_before_and_one_that_changed_its_type_is_text(traffic):
    traffic.write([prediction(0), prediction(1, inputs={"price": 2, "plan": "pro"}, version=4)], NOW)
    traffic.write([prediction(2, inputs={"price": 2.5, "plan": 3, "region": "north"}, version=5)], NOW)
    found = window(traffic).inputs
    assert found.column("price").to_pylist() == [0.25, 2.0, 2.5]
    assert found.column("plan").to_pylist() == ["basic", "pro", "3"]
    assert found.column("region").to_pylist() == [None, None, "north"]


def test_chunks_whose_types_differ_are_joined(traffic, monkeypatch):
    monkeypatch.setattr("evergreen.store.traffic.CHUNK_ROWS", 1)
    for place, value in enumerate([1, None, "x", 2.5]):
        traffic.write([prediction(place, inputs={"x": value}, prediction=float(place))], NOW)
    found = window(traffic)
    assert found.inputs.column("x").to_pylist() == ["1", None, "x", "2.5"]
    assert found.answers.column("prediction").to_pylist() == [0, 1, 2, 3]


def test_a_regression_has_numbers_and_no_probabilities(traffic):
    traffic.write([prediction(0, prediction=12.5, probabilities=None)], NOW)
    answers = window(traffic).answers
    assert answers.column("prediction").to_pylist() == [12.5]
    assert [name for name in answers.column_names if name.startswith("probability")] == []


def test_writing_twice_is_writing_once(traffic):
    rows = [prediction(place) for place in range(3)]
    for _ in range(2):
        traffic.write(rows, NOW)
    assert ids(window(traffic)) == ["r0.0", "r1.0", "r2.0"]


def test_champion_and_challenger_answer_the_same_request(traffic):
    shadow = prediction(0, role=Role.CHALLENGER, version=4, prediction="yes")
    traffic.write([prediction(0), shadow], NOW)
    assert {(row["role"], row["prediction"]) for row in window(traffic).answers.to_pylist()} == {
        ("champion", "no"),
        ("challenger", "yes"),
    }


def test_a_group_is_written_whole_or_not_at_all(traffic):
    engine = sa.create_engine(with_driver(traffic.url), poolclass=sa.NullPool)
    bad = prediction(1, id=None, version=4)
    with pytest.raises(IntegrityError):
        traffic.write([prediction(0), bad], NOW)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM traffic")).scalar() == 0
    assert ids(window(traffic)) == []


def test_a_writer_goes_on_after_its_connection_broke(traffic):
    with TrafficWriter(traffic.url) as writer:
        writer.write([prediction(0)], NOW)
        writer._connection.connection.driver_connection.close()
        with pytest.raises((UnavailableError, IntegrityError)):
            writer.write([prediction(1)], NOW)
        writer.write([prediction(1)], NOW)
    assert ids(window(traffic)) == ["r0.0", "r1.0"]


def test_a_store_that_is_not_there_is_said_and_nothing_is_read_from_it(tmp_path):
    absent = Traffic(f"sqlite:///{tmp_path}/no/folder/evergreen.db")
    for call in (
        lambda: absent.write([prediction()], NOW),
        lambda: window(absent),
        lambda: absent.write_feedback([label()]),
    ):
        with pytest.raises(UnavailableError):
            call()


def test_the_newest_rows_are_those_of_the_last_groups(traffic):
    for place in range(5):
        traffic.write([prediction(2 * place), prediction(2 * place + 1)], NOW)
    assert set(ids(traffic.newest("churn", 3))) == {"r6.0", "r7.0", "r8.0", "r9.0"}
    assert ids(traffic.newest("demand", 3)) == []


def test_the_newest_rows_by_version_have_the_fields_that_each_captured(traffic):
    rows = [
        prediction(0, version=7, inputs={"price": 1.0}),
        prediction(1, version=8, inputs={"price": 1.0, "city": "Ulm"}),
    ]
    traffic.write(rows, NOW)
    found = traffic.newest_by_version("churn", 10)
    assert {version: captured.inputs.column_names for version, captured in found.items()} == {
        8: ["price", "city"],
        7: ["price"],
    }


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text())
FIELDS = st.dictionaries(
    st.text(max_size=5), VALUES.filter(lambda v: v not in (float("inf"), -float("inf"))), max_size=4
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(FIELDS, st.integers(0, 400), st.sampled_from([3, 4])), min_size=1, max_size=30))
def test_whatever_is_packed_is_unpacked_in_its_order(given_rows):
    rows = [
        prediction(place, inputs=inputs, version=version, at=NOW + timedelta(minutes=minutes))
        for place, (inputs, minutes, version) in enumerate(given_rows)
    ]
    seen = {}
    for group in split(rows):
        assert max(group.at) - min(group.at) < 3_600_000_000
        columns = unpack(pack(group))
        for place, name in enumerate(columns["id"]):
            found = {field: values[place] for field, values in columns["inputs"].items()}
            seen[name] = {field: value for field, value in found.items() if value is not None}
    assert seen == {row.id: {k: v for k, v in row.inputs.items() if v is not None} for row in rows}


def test_a_large_batch_is_several_groups():
    groups = list(split([prediction(place, at=NOW) for place in range(2 * MOST_ROWS + 1)]))
    assert [len(group.at) for group in groups] == [MOST_ROWS, MOST_ROWS, 1]
    assert len({group.key for group in groups}) == 3


# ---- what came true


@pytest.mark.parametrize(
    ("said", "outcomes"),
    [
        ([label()], ["new"]),
        # Two labels of one moment: the one that came later counts.
        ([label(said="no"), label()], ["new", "corrected"]),
        ([label(), label(days=2, said="no")], ["new", "corrected"]),
        ([label(), label(days=2)], ["new", "confirmed"]),
        ([label(days=2), label(days=1, said="no")], ["new", "outdated"]),
        ([label(), label()], ["new", "duplicate"]),
        ([label(), label(said="no"), label()], ["new", "corrected", "corrected"]),
        ([label("nobody")], ["unknown"]),
        ([label(prediction_id=None, row_id="c7")], ["new"]),
        ([label(prediction_id=None, row_id="c8")], ["unknown"]),
        ([label(prediction_id=None, row_id="c7"), label(days=3, said="no")], ["new", "corrected"]),
        ([label(model="demand")], ["unknown"]),
    ],
)
def test_a_label_is_told_what_became_of_it(traffic, said, outcomes):
    traffic.write([prediction(0, row_id="c7")], NOW)
    assert list(traffic.write_feedback(said)) == outcomes


def test_labels_of_several_kinds_are_read_as_text(traffic):
    traffic.write([prediction(0), prediction(1)], NOW)
    traffic.write_feedback([label(0), label(1, 2.5)])
    assert labelled(traffic) == {"r0.0": "yes", "r1.0": "2.5"}


def test_several_labels_in_one_request_keep_their_order(traffic):
    traffic.write([prediction(0), prediction(1)], NOW)
    said = [label(1), label("nobody"), label(0), label(1), label(0, "no", days=2)]
    assert list(traffic.write_feedback(said)) == ["new", "unknown", "new", "duplicate", "corrected"]
    assert labelled(traffic) == {"r0.0": "no", "r1.0": "yes"}


def test_a_label_that_came_before_its_prediction_was_written_counts_afterwards(traffic):
    assert traffic.write_feedback([label(0)]) == (Outcome.UNKNOWN,)
    traffic.write([prediction(0)], NOW)
    assert labelled(traffic) == {"r0.0": "yes"}


def test_a_label_by_row_is_about_the_newest_request_before_it(traffic):
    rows = [prediction(place, row_id="c7", at=NOW + 10 * place * DAY) for place in range(3)]
    shadow = replace(rows[1], id="r1.1", role=Role.CHALLENGER, version=4, at=rows[1].at + timedelta(seconds=1))
    traffic.write([*rows, shadow], NOW)
    by_row = partial(label, prediction_id=None, row_id="c7")
    traffic.write_feedback([by_row(days=15, said="no"), by_row(days=25), by_row(days=-1, said="never")])
    assert labelled(traffic) == {"r1.0": "no", "r1.1": "no", "r2.0": "yes"}


def test_features_stand_beside_their_label_as_they_were_served(traffic):
    traffic.write([prediction(place) for place in range(4)], NOW)
    traffic.write_feedback([label(1), label(3, "no", received_at=NOW + 2 * DAY)])
    found = traffic.labelled("churn", NOW, NOW + DAY, NOW + 9 * DAY)
    assert found.inputs.column("price").to_pylist() == [1.25, 3.25]
    assert found.answers.column("label").to_pylist() == ["yes", "no"]
    assert found.answers.column("label_at").to_pylist() == [NOW + DAY] * 2
    assert found.answers.column("received_at").to_pylist() == [NOW + DAY, NOW + 2 * DAY]


def test_a_label_is_asked_for_where_nobody_told_it_otherwise(traffic):
    traffic.write([prediction(place) for place in range(4)], NOW)
    asked = partial(label, extra={"asked": True})
    traffic.write_feedback([asked(0), label(1), asked(2), label(2, days=2), label(3, days=2), asked(3, "no", days=3)])
    answers = traffic.labelled("churn", NOW - DAY, NOW + DAY, NOW + 9 * DAY).answers
    assert answers.column("asked").to_pylist() == [True, False, False, False]


def test_no_later_label_leaks(traffic):
    traffic.write([prediction(0), prediction(1)], NOW)
    late = label(1, days=2, received_at=NOW + 8 * DAY)
    traffic.write_feedback([label(0, "no", days=1), label(0, "yes", days=5), late])
    assert labelled(traffic, days=0.5) == {}
    assert labelled(traffic, days=4) == {"r0.0": "no"}
    assert labelled(traffic, days=6) == {"r0.0": "yes"}
    assert labelled(traffic, days=8) == {"r0.0": "yes", "r1.0": "yes"}


def test_rows_younger_than_the_label_delay_are_left_out_also_where_their_label_is_there(traffic):
    traffic.write([prediction(0), prediction(1, at=NOW + 5 * DAY)], NOW)
    traffic.write_feedback([label(0), label(1, days=6)])
    assert set(labelled(traffic, days=7)) == {"r0.0", "r1.0"}
    assert set(labelled(traffic, days=7, label_delay=3 * DAY)) == {"r0.0"}
    assert set(labelled(traffic, days=8, label_delay=3 * DAY)) == {"r0.0", "r1.0"}


SAID = st.tuples(st.sampled_from(["yes", "no", "maybe"]), st.integers(0, 9), st.booleans())


@settings(max_examples=25, deadline=None)
@given(said=st.lists(SAID, min_size=1, max_size=6, unique_by=lambda each: each[1]), draw=st.randoms())
def test_whatever_order_labels_come_in_the_same_one_counts(said, draw):
    rows = [prediction(place, row_id=f"c{place}", at=NOW) for place in (0, 1)]
    # Everything is said twice, and of two rows: of one in order of time, of the other in any order.
    orders = [sorted(said, key=lambda each: each[1]) * 2, said * 2]
    draw.shuffle(orders[1])
    with in_memory(rows) as connection:
        for row, order in zip(rows, orders, strict=True):
            for received, (answer, known, by_row) in enumerate(order):
                name = {"row_id": row.row_id} if by_row else {"prediction_id": row.id}
                came = NOW + timedelta(days=10, seconds=received)
                keep(connection, [Feedback("churn", answer, NOW + known * DAY, came, **name)])
        found = read_labels(connection.execute(labels_of("churn")).mappings())
    last = max(said, key=lambda each: each[1])[0]
    assert {name: answer for name, (answer, _) in found.items()} == {"r0.0": last, "r1.0": last}


@contextmanager
def in_memory(rows: list[Prediction]) -> Iterator[sa.Connection]:
    """A store without a disk, and where these rows are."""
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine, [traffic_table, predictions, ground_truth])
    names = ("id", "model", "at", "row_id", "request")
    places = [{name: getattr(row, name) for name in names} for row in rows]
    with engine.begin() as connection:
        numbered = [{**place, "traffic": 1, "position": number} for number, place in enumerate(places)]
        connection.execute(sa.insert(predictions), numbered)
        yield connection


def test_of_equals_the_last_to_arrive_wins():
    rows = [{"prediction": "a", "at": 1, "received_at": 1, "id": number} for number in (2, 1)]
    assert winners(rows)["a"]["id"] == 2


# ---- counts and age


def test_counts_are_by_version_and_role_with_what_is_labelled(traffic):
    rows = [prediction(0), prediction(1), prediction(2, version=4, role=Role.CHALLENGER), prediction(3, at=NOW + DAY)]
    traffic.write(rows, NOW)
    traffic.write_feedback([label(0), label(0, "no", days=3), label(2), label(3)])
    counts = traffic.counts("churn", NOW, NOW + HOUR)
    assert [(c.version, c.role, c.rows, c.labelled) for c in counts] == [(3, "champion", 2, 1), (4, "challenger", 1, 1)]
    assert (counts[0].first_at, counts[0].last_at) == (NOW, NOW + timedelta(minutes=1))
    assert traffic.counts("demand", NOW, NOW + HOUR) == ()


def test_what_is_too_old_is_forgotten_with_its_labels_and_the_rest_stays(traffic):
    for place in range(7):
        traffic.write([prediction(place, at=NOW + place * DAY, row_id=f"c{place}")], NOW)
    traffic.write_feedback([label(0, days=1), label(5, days=6)])
    assert traffic.forget("churn", NOW + 4 * DAY, chunk=2) == 4
    assert set(ids(window(traffic, until=NOW + 9 * DAY))) == {"r4.0", "r5.0", "r6.0"}
    assert labelled(traffic) == {"r5.0": "yes"}
    # Nobody knows the forgotten one any more, by neither of its names.
    names = [label(0, days=7), label(prediction_id=None, row_id="c0", days=7)]
    assert traffic.write_feedback(names) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
    assert traffic.forget("churn", NOW + 4 * DAY) == 0


def test_the_sql_of_the_guide_reads_what_is_there(prepared_file, tmp_path):
    file = tmp_path / "evergreen.db"
    file.write_bytes(prepared_file.read_bytes())
    traffic = Traffic(f"sqlite:///{file}")
    traffic.write([prediction(0), prediction(1), prediction(2, at=NOW + DAY, version=4), block(100)], NOW)
    traffic.write_feedback([label(0), label("nobody"), label(prediction_id="6a-1f.99")])
    (shown,) = re.findall(r"(?ms)^```sql\n(.*?)^```", GUIDE.read_text())
    with closing(sqlite3.connect(file)) as connection:
        days, strangers = (connection.execute(query).fetchall() for query in shown.strip().rstrip(";").split(";"))
    assert days == [(3, "champion", "2026-03-02", 102), (4, "champion", "2026-03-03", 1)]
    assert strangers == [(1,)]
