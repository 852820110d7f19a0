"""One value of a request, read exactly: what its column's rules make of it, or why it is refused."""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from evergreen.data.parse import EXACT
from evergreen.serving.handles import Column
from evergreen.spec.data import NULLS

# What names something is short; free text may be an article, but no book.
LONGEST = {"category": 1_000, "text": 100_000, "datetime": 100}
LONGEST_ID = 200
_SHOWN = 20
FIRST_MOMENT, LAST_MOMENT = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, in microseconds since 1970: what Python, and an answer, can say."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - times in tables are naive UTC
_MICROSECOND = timedelta(microseconds=1)
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
# Beyond this no whole number fits into the 64 bits of a snapshot.
_WIDEST = 2.0**63


class Refusal(NamedTuple):
    """Why a value is refused: the rule that it breaks, and the words."""

    rule: str
    why: str


def read_value(column: Column, value: Any) -> Any:
    """A decoded JSON value as the canonical one of its column, or a Refusal.

    >>> read_value(Column("price", "number", max=9), 3), read_value(Column("plan", "category"), 3.0)
    (3.0, '3')
    >>> read_value(Column("price", "number", max=9), 10).why
    'is 10, above max 9'
    """
    read = value if value is None else _READERS[column.type](column, value)
    if isinstance(read, Refusal):
        return read
    if read is None:
        return null_of(column) if column.nullable else Refusal("null", "is null; training allowed no null here")
    return _judge(column, read)


def null_of(column: Column) -> float | None:
    """The canonical null: NaN for numbers, None for the rest."""
    return math.nan if column.type in ("integer", "number", "boolean") else None


def read_id(value: Any) -> str | None | Refusal:
    """A caller's own name of a row, as text."""
    if value is None:
        return None
    text = _as_text(value)
    if isinstance(text, Refusal):
        return text
    if len(text) > LONGEST_ID:
        return Refusal("length", f"has {len(text)} characters; at most {LONGEST_ID}")
    return _writable(text.strip()) or None


def null_numbers(column: Column) -> frozenset[float]:
    """The numbers that meant a missing value in the source, such as -999.

    >>> null_numbers(Column("price", "number", nulls=("", "NA", "-999")))
    frozenset({-999.0})
    """
    return _numbers_among(column.nulls)


@cache
def _numbers_among(texts: tuple[str, ...]) -> frozenset[float]:
    found = set()
    for text in texts:
        try:
            found.add(float(text))
        except ValueError:
            continue
    return frozenset(number for number in found if math.isfinite(number))


def read_moment(text: str, day_first: bool) -> int | None:
    """Microseconds since 1970 in UTC, None for what is no date; read as the texts of a source are.

    >>> read_moment("1970-01-01T02:00:00.5+02:00", False), read_moment("01.02.1970", False), read_moment("soon", False)
    (500000, 2678400000000, None)
    """
    if _PLAIN_TIME.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _parse_moment(text, day_first)
        # Subtracted by hand: near the year 1 the moment in UTC may be none that Python can hold.
        offset = moment.utcoffset() or timedelta(0)
        return (moment.replace(tzinfo=None) - _EPOCH - offset) // _MICROSECOND
    return _parse_moment(text, day_first)


def show(value: Any) -> str:
    """A few characters of a value, safe to print.

    >>> show("a" * 99)
    "'aaaaaaaaaaaaaaaaaaaa…'"
    """
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
        return f"'{''.join(c if c.isprintable() else '?' for c in cut)}'"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parse_moment(text: str, day_first: bool) -> int | None:
    import pyarrow as pa

    from evergreen.data.parse import TextRules, read_values

    try:
        times = read_values(pa.array([text], pa.string()), "datetime", TextRules(day_first=day_first)).values
    except pa.ArrowException:
        return None
    moment = times.cast(pa.int64())[0].as_py()
    return None if moment is None else int(moment)


def _number(column: Column, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _wrong(value, "a whole number" if column.type == "integer" else "a number")
    try:
        number = float(value)
    except OverflowError:
        return Refusal("finite", "is beyond every number that can be computed with")
    if not math.isfinite(number):
        return Refusal("finite", "is not finite; a missing value is null")
    if column.type == "integer" and not number.is_integer():
        return Refusal("type", f"is {show(number)}; a whole number is wanted")
    if column.type == "integer" and abs(number) >= (EXACT if isinstance(value, float) else _WIDEST):
        # A float of this size has lost digits already, and training does not read it either.
        return Refusal("type", "is beyond the whole numbers of 64 bits, or has lost digits on the way")
    return None if number in null_numbers(column) else number


def _boolean(column: Column, value: Any) -> Any:  # noqa: ARG001
    if isinstance(value, int | float) and value in (0, 1):
        return float(value)
    return _wrong(value, "true or false")


def _text(column: Column, value: Any) -> Any:
    text = _as_text(value)
    return text if isinstance(text, Refusal) else _cleaned(column, text)


def _moment(column: Column, value: Any) -> Any:
    if not isinstance(value, str):
        return _wrong(value, "a date, as text such as 2026-01-31T12:00:00Z,")
    text = _cleaned(column, value)
    if not isinstance(text, str) or text in NULLS:
        return text if isinstance(text, Refusal) else None
    moment = read_moment(text, column.day_first)
    if moment is None or not FIRST_MOMENT <= moment <= LAST_MOMENT:
        return Refusal("type", f"is {show(text)}, which is no date; write 2026-01-31T12:00:00Z")
    return moment


def _cleaned(column: Column, text: str) -> Any:
    if len(text) > LONGEST[column.type]:
        return Refusal("length", f"has {len(text)} characters; at most {LONGEST[column.type]}")
    text = text.strip()
    return None if text in column.nulls else _writable(text)


def _writable(text: str) -> str | Refusal:
    """The text, unless no file and no database could hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return Refusal("type", "holds half a character")
    return Refusal("type", "holds the character of code 0") if "\0" in text else text


def _as_text(value: Any) -> Any:
    """Text, and what is written as text in a table: codes, with 3.0 as 3, and truth values."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < _WIDEST):
        return str(value)
    if not isinstance(value, float):
        return _wrong(value, "text")
    if not math.isfinite(value):
        return Refusal("finite", "is not finite; a missing value is null")
    return _float_text(value)


def _float_text(value: float) -> str:
    if value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    import pyarrow as pa

    from evergreen.data.parse import read_values

    return str(read_values(pa.array([value]), "category").values[0].as_py())


def _judge(column: Column, value: Any) -> Any:
    if column.min is not None and value < column.min:
        return Refusal("min", f"is {show(value)}, below min {column.min:g}")
    if column.max is not None and value > column.max:
        return Refusal("max", f"is {show(value)}, above max {column.max:g}")
    if column.allowed is not None and column.strict and value not in column.allowed:
        some = ", ".join(map(show, column.allowed[:6])) + (", …" if len(column.allowed) > 6 else "")
        return Refusal("allowed", f"is {show(value)}, not among the allowed: {some}")
    return value


def _wrong(value: Any, wanted: str) -> Refusal:
    kinds = {bool: "true or false", str: "text", dict: "an object", list: "an array", type(None): "null"}
    return Refusal("type", f"is {kinds.get(type(value), 'a number')}; {wanted} is wanted")


_READERS: dict[str, Callable[[Column, Any], Any]] = {
    "integer": _number,
    "number": _number,
    "boolean": _boolean,
    "category": _text,
    "text": _text,
    "datetime": _moment,
}
