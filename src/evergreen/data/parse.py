"""Read Arrow values of any type as a declared column type. What cannot be read becomes null, and is told apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evergreen.data.times import count_day_first, parse_times
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import NULLS, CsvSource, HttpSource, Source, TrafficSource

TRUE_TEXTS = ("true", "t", "yes", "y", "1", "1.0")
FALSE_TEXTS = ("false", "f", "no", "n", "0", "0.0")

# From here on a float64 no longer tells neighbouring integers apart.
EXACT = 2.0**53
_LARGEST = str(2**63 - 1)


@dataclass(frozen=True)
class TextRules:
    """How the texts of a source are meant.

    `nulls` mean missing in a category or text; numbers, booleans and dates also read the usual ones (`NA`, …) so.
    """

    decimal: str = "."
    nulls: tuple[str, ...] = ("",)
    day_first: bool = False


def text_rules(source: Source) -> TextRules:
    """How a source means its texts: in a snapshot, and in every row that its model is asked about later.

    >>> text_rules(CsvSource(kind="csv", path="a.csv", decimal=",", null_values=("?",)))
    TextRules(decimal=',', nulls=('', '?'), day_first=False)
    """
    if isinstance(source, TrafficSource):
        return TextRules() if source.base is None else text_rules(source.base)
    if isinstance(source, CsvSource) or (isinstance(source, HttpSource) and source.format == "csv"):
        return TextRules(source.decimal, ("", *source.null_values), source.day_first)
    return TextRules(day_first=source.day_first)


@dataclass(frozen=True)
class Reading:
    """`values` as the Arrow type of a column type; `unreadable` is a boolean array, or None when all could be read."""

    values: Any
    unreadable: Any | None


def arrow_type(kind: ColumnType) -> Any:
    """The Arrow type that values of a column type have while they are read; a category is plain text until written.

    >>> arrow_type("datetime")
    TimestampType(timestamp[us])
    """
    import pyarrow as pa

    return {
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "datetime": pa.timestamp("us"),
    }.get(kind, pa.string())


def read_values(values: Any, kind: ColumnType, rules: TextRules | None = None) -> Reading:
    """An Arrow array read as a column type, each value by itself.

    >>> import pyarrow as pa
    >>> reading = read_values(pa.array(["1", "1,234.5", " ", "abc"]), "number")
    >>> reading.values.to_pylist(), reading.unreadable.to_pylist()
    ([1.0, 1234.5, None, None], [False, False, False, True])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rules = rules or TextRules()
    given = _without_nulls(_plain(values, kind), kind, rules)
    if given.null_count == len(given):
        return Reading(pa.nulls(len(given), arrow_type(kind)), None)
    read = _READERS[kind](given, rules)
    if read.null_count == given.null_count:
        return Reading(read, None)
    return Reading(read, pc.and_(pc.is_valid(given), pc.is_null(read)))


def advise(values: Any, kind: ColumnType, rules: TextRules) -> str:
    """What to declare so that values that could not be read can be; empty where nothing suggests itself.

    >>> import pyarrow as pa
    >>> advise(pa.array(["31/12/2025"]), "datetime", TextRules())
    'some have their day first: declare day_first: true'
    """
    import pyarrow as pa

    texts = _plain(values, kind)
    if kind != "datetime" or not pa.types.is_string(texts.type) or not count_day_first(texts, not rules.day_first):
        return ""
    if rules.day_first:
        return "some have their month first, and the source declares day_first: true"
    return "some have their day first: declare day_first: true"


def _plain(values: Any, kind: ColumnType) -> Any:
    """Dictionaries decoded, every kind of text as `string`, decimals as float64, or as text where digits matter."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        return _plain(values.dictionary_decode(), kind)
    if isinstance(values, pa.ExtensionArray):
        return pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())
    given = values.type
    if pa.types.is_decimal(given) and given.scale == 0 and kind in ("integer", "category", "text"):
        return pc.cast(values, pa.string())
    if pa.types.is_decimal(given) or pa.types.is_float16(given) or pa.types.is_float32(given):
        return pc.cast(values, pa.float64())
    if pa.types.is_large_string(given) or pa.types.is_string_view(given) or _is_binary(given):
        return pc.cast(values, pa.string())
    return values


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _without_nulls(values: Any, kind: ColumnType, rules: TextRules) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type):
        nan = pc.is_nan(values)
        return pc.if_else(nan, None, values) if pc.any(nan).as_py() else values
    if not pa.types.is_string(values.type):
        return values
    nulls = rules.nulls if kind in ("category", "text") else (*rules.nulls, *NULLS)
    return _by_unique(values, lambda texts: _trimmed(texts, nulls))


def _trimmed(texts: Any, nulls: tuple[str, ...]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(trimmed, value_set=pa.array({"", *(n.strip() for n in nulls)}, pa.string()))
    return pc.if_else(missing, None, trimmed)


def _by_unique(values: Any, change: Callable[[Any], Any]) -> Any:
    """`change` applied to each distinct value once; the same array again when it changes nothing."""
    encoded = values.dictionary_encode()
    changed = change(encoded.dictionary)
    return values if changed.equals(encoded.dictionary) else changed.take(encoded.indices)


def _read_number(values: Any, rules: TextRules) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        numbers = _number_texts(values, rules.decimal)
    elif _is_numeric(values.type):
        numbers = pc.cast(values, pa.float64(), safe=False)
    else:
        return pa.nulls(len(values), pa.float64())
    finite = pc.is_finite(numbers)
    return numbers if pc.all(finite).as_py() else pc.if_else(finite, numbers, None)


def _number_texts(texts: Any, decimal: str) -> Any:
    """Texts as float64: thousands are set apart by the mark that is not the decimal one, in groups of three."""
    import pyarrow as pa
    import pyarrow.compute as pc

    thousands = "," if decimal == "." else "."
    try:
        if decimal == ".":
            return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        pass
    point, mark = (f"\\{decimal}", f"\\{thousands}")
    plain = rf"^[+-]?(\d+{point}?\d*|{point}\d+)([eE][+-]?\d+)?$"
    grouped = rf"^[+-]?\d{{1,3}}({mark}\d{{3}})+({point}\d*)?$"
    bare = pc.replace_substring(texts, thousands, "")
    cleaned = pc.if_else(pc.match_substring_regex(texts, grouped), bare, texts)
    cleaned = pc.if_else(pc.match_substring_regex(cleaned, plain), cleaned, None)
    return pc.cast(pc.replace_substring(cleaned, decimal, "."), pa.float64())


def _read_integer(values: Any, rules: TextRules) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_uint64(values.type):
        values = pc.cast(values, pa.string())
    if pa.types.is_integer(values.type):
        return pc.cast(values, pa.int64())
    numbers = _read_number(values, rules)
    inside = pc.less(pc.abs(numbers), EXACT)
    whole = pc.and_(pc.equal(pc.floor(numbers), numbers), inside)
    integers = pc.cast(pc.if_else(whole, numbers, None), pa.int64())
    if pc.all(inside).as_py() or not pa.types.is_string(values.type):
        return integers
    return pc.coalesce(integers, _long_integers(values))


def _long_integers(texts: Any) -> Any:
    """Whole numbers of 16 to 19 digits that fit into 64 bits, with every digit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = pc.replace_substring_regex(texts, r"^[+-]", "")
    fits = pc.or_(
        pc.match_substring_regex(digits, r"^\d{16,18}$"),
        pc.and_(pc.match_substring_regex(digits, r"^\d{19}$"), pc.less_equal(digits, _LARGEST)),
    )
    unsigned = pc.replace_substring_regex(pc.if_else(fits, texts, None), r"^\+", "")
    return pc.cast(unsigned, pa.int64())


def _read_boolean(values: Any, rules: TextRules) -> Any:  # noqa: ARG001
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(values.type):
        return values
    if _is_numeric(values.type):
        number = pc.cast(values, pa.float64(), safe=False)
        yes, no = pc.equal(number, 1.0), pc.equal(number, 0.0)
    elif pa.types.is_string(values.type):
        lower = pc.utf8_lower(values)
        yes, no = (pc.is_in(lower, value_set=pa.array(texts)) for texts in (TRUE_TEXTS, FALSE_TEXTS))
    else:
        return pa.nulls(len(values), pa.bool_())
    return pc.if_else(pc.or_(yes, no), yes, None)


def _read_datetime(values: Any, rules: TextRules) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(values.type):
        zone = values.type.tz
        micro = pc.cast(values, pa.timestamp("us", zone), safe=False)
        return pc.cast(micro, pa.timestamp("us"))
    if pa.types.is_date(values.type):
        return pc.cast(values, pa.timestamp("us"))
    if pa.types.is_integer(values.type):
        # 20250131 is a date that lost its quotes; every other integer is an epoch of unknown unit.
        values = pc.cast(values, pa.string())
    if pa.types.is_string(values.type):
        return _by_unique(values, lambda texts: parse_times(texts, rules.day_first))
    return pa.nulls(len(values), pa.timestamp("us"))


def _read_text(values: Any, rules: TextRules) -> Any:  # noqa: ARG001
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_boolean(kind):
        # As Python and pandas write them, so that a JSON true meets a True read from a CSV file.
        return pc.if_else(values, "True", "False")
    if pa.types.is_floating(kind):
        # 3.0 and 3 are one category: a column of integers is one of floats as soon as a null stands in it.
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), EXACT))
        integers = pc.cast(pc.if_else(whole, values, None), pa.int64())
        return pc.coalesce(pc.cast(integers, pa.string()), pc.cast(values, pa.string()))
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return pc.cast(values, pa.string())
    return pa.nulls(len(values), pa.string())


def _is_numeric(kind: Any) -> bool:
    import pyarrow as pa

    return any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean))


_READERS: dict[ColumnType, Callable[[Any, TextRules], Any]] = {
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "datetime": _read_datetime,
    "category": _read_text,
    "text": _read_text,
}
