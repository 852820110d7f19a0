from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest

from evergreen.data.parse import TextRules, read_values
from evergreen.data.times import parse_times


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1.5", ".", 1.5),
        (" 1.5 ", ".", 1.5),
        ("+7", ".", 7.0),
        ("-.5", ".", -0.5),
        ("1e3", ".", 1000.0),
        ("1,234.5", ".", 1234.5),
        ("1,234,567", ".", 1234567.0),
        ("1,5", ".", None),
        ("12,34,567", ".", None),
        ("1,5", ",", 1.5),
        ("1.234,5", ",", 1234.5),
        ("1.5", ",", None),
        ("0x10", ".", None),
        ("inf", ".", None),
        ("1e999", ".", None),
        ("abc", ".", None),
        ("1 2", ".", None),
    ],
)
def test_a_text_is_the_number_that_its_decimal_mark_makes_it(text, decimal, number):
    reading = read_values(pa.array([text, "7"]), "number", TextRules(decimal=decimal))
    assert reading.values.to_pylist() == [number, 7.0]
    assert (reading.unreadable is not None) == (number is None)


@pytest.mark.parametrize("text", ["", "  ", "NA", "N/A", "nan", "NaN", "null", "NULL", "None"])
@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "datetime"])
def test_a_text_that_means_missing_is_null_and_no_fault(text, kind):
    reading = read_values(pa.array([text, None]), kind)
    assert reading.values.null_count == 2
    assert reading.unreadable is None


@pytest.mark.parametrize(
    ("values", "integers"),
    [
        (["3", "3.0", "3.5", "-4", "x"], [3, 3, None, -4, None]),
        ([3.0, 3.5, float("nan"), float("inf")], [3, None, None, None]),
        ([1, 2, None], [1, 2, None]),
        ([True, False], [1, 0]),
        (["9007199254740993", "1"], [9007199254740993, 1]),
        (["0x10", "99999999999999999999"], [None, None]),
        (["1000000000000000001", "+9223372036854775807", "-9223372036854775807"], [10**18 + 1, 2**63 - 1, 1 - 2**63]),
        (["9223372036854775808", "0009007199254740993"], [None, 9007199254740993]),
        (pa.array([2**53 + 1, 2**63], pa.uint64()), [2**53 + 1, None]),
        (pa.array([Decimal(2**53 + 1), Decimal(2**64)], pa.decimal128(38, 0)), [2**53 + 1, None]),
        ([Decimal("3.00"), Decimal("3.50")], [3, None]),
    ],
)
def test_integers_tolerate_a_point_zero_and_nothing_else(values, integers):
    array = values if isinstance(values, pa.Array) else pa.array(values)
    assert read_values(array, "integer").values.to_pylist() == integers


def test_every_usual_word_for_yes_and_no_is_a_boolean():
    words = ["Yes", "no", "Y", "N", "TRUE", "false", "t", "F", "1", "0", "maybe", "2"]
    expected = [True, False] * 5 + [None, None]
    assert read_values(pa.array(words), "boolean").values.to_pylist() == expected
    assert read_values(pa.array([1, 0, 2]), "boolean").values.to_pylist() == [True, False, None]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-01-31", datetime(2025, 1, 31)),
        ("2025-01-31 10:20", datetime(2025, 1, 31, 10, 20)),
        ("2025-01-31T10:20:30.123456789", datetime(2025, 1, 31, 10, 20, 30, 123456)),
        ("2025-01-31T10:00:00Z", datetime(2025, 1, 31, 10)),
        ("2025-01-31T10:00:00+02:00", datetime(2025, 1, 31, 8)),
        ("2025-01-31 10:00:00 -0500", datetime(2025, 1, 31, 15)),
        ("2025-01-31 10:00:00 UTC", datetime(2025, 1, 31, 10)),
        ("20250131", datetime(2025, 1, 31)),
        ("20250131T102030", datetime(2025, 1, 31, 10, 20, 30)),
        ("31.01.2025", datetime(2025, 1, 31)),
        ("31.1.2025 9:05", datetime(2025, 1, 31, 9, 5)),
        ("01/31/2025", datetime(2025, 1, 31)),
        ("1/2/2025 10:20", datetime(2025, 1, 2, 10, 20)),
        ("9999-12-31", datetime(9999, 12, 31)),
        ("2025-02-30", None),
        ("2025-13-01", None),
        ("1738281600", None),
        ("1738281600000", None),
        ("2025", None),
        ("yesterday", None),
        ("1/31/25", None),
    ],
)
def test_a_text_is_the_moment_that_its_form_says(text, moment):
    assert parse_times(pa.array([text])).to_pylist() == [moment]
    mixed = parse_times(pa.array([text, "2020-01-01T00:00:00+00:00", "02.01.2020"]))
    assert mixed.to_pylist() == [moment, datetime(2020, 1, 1), datetime(2020, 1, 2)]


def test_a_date_has_its_day_first_where_that_is_said_and_nowhere_else():
    texts = pa.array(["01/02/2025", "31/12/2025", "12-31-2025", "31.12.2025"])
    last = datetime(2025, 12, 31)
    assert parse_times(texts).to_pylist() == [datetime(2025, 1, 2), None, last, last]
    assert parse_times(texts, day_first=True).to_pylist() == [datetime(2025, 2, 1), last, None, last]


def test_an_epoch_is_no_date_whatever_its_type():
    assert read_values(pa.array([1738281600]), "datetime").unreadable.to_pylist() == [True]
    assert read_values(pa.array([1738281600.5]), "datetime").unreadable.to_pylist() == [True]


def test_times_with_a_zone_become_utc_without_one():
    there = pa.array([datetime(2025, 1, 1)]).cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("ns", "Asia/Tokyo"))
    assert read_values(there, "datetime").values.to_pylist() == [datetime(2025, 1, 1)]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([3, None], ["3", None]),
        ([3.0, 2.5], ["3", "2.5"]),
        ([98178.0, 1e12, -0.0], ["98178", "1000000000000", "0"]),
        ([True, False], ["True", "False"]),
        (["a ", " ", "NA"], ["a", None, "NA"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array([b"x"]), ["x"]),
        ([Decimal(2**53 + 1), Decimal(3)], ["9007199254740993", "3"]),
        ([UUID(int=7)], ["00000000-0000-0000-0000-000000000007"]),
        ([None, None], [None, None]),
    ],
)
def test_categories_are_texts_whatever_they_were(values, texts):
    array = values if isinstance(values, pa.Array) else pa.array(values)
    assert read_values(array, "category").values.to_pylist() == texts


def test_only_a_text_source_says_that_a_category_na_is_missing():
    reading = read_values(pa.array(["NA", "."]), "category", TextRules(nulls=("NA", ".")))
    assert reading.values.to_pylist() == [None, None]
