"""What type a column is: the narrowest that reads its values, by the code that will read them later."""

import re
from dataclasses import dataclass, replace
from typing import Any

from evergreen.data.frame import beyond_float
from evergreen.data.parse import Reading, TextRules, read_values
from evergreen.data.times import count_day_first
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import NULLS
from evergreen.validation.columns import UNREADABLE

# What people write where they have no value; a word such as `unknown` may be an answer and stays one.
DIRT = ("?", ".", "-", "--", "n/a", "#N/A", "<NA>", "\\N")
# More levels than this are no list that anybody reads.
MANY_LEVELS = 100
_FIRST_LOOK = 1000
_CODE_NAMES = re.compile(r"(zip|postal|postcode|plz|_code$|^code$)", re.IGNORECASE)


@dataclass(frozen=True)
class Reader:
    """A column type; `values` are the Arrow column read so, `unreadable` how many of them could not be."""

    type: ColumnType
    values: Any
    unreadable: int


def infer_type(name: str, values: Any, rules: TextRules | None = None) -> Reader:
    """The type of an Arrow array, whose texts are meant by `rules`.

    Texts that look like numbers but are codes (leading zeros, a name such as zipcode) are categories. Whole numbers
    that float64 cannot tell apart are text: nobody counts that far, so they are names.

    >>> import pyarrow as pa
    >>> [infer_type("x", pa.array(texts)).type for texts in (["1", " "], ["1.5", "?"], ["yes", "no"], ["20250131"])]
    ['integer', 'number', 'category', 'datetime']
    """
    import pyarrow as pa

    kind, rules = values.type, rules or TextRules()
    if pa.types.is_boolean(kind):
        return _reading(values, "boolean", rules)
    if pa.types.is_integer(kind) and beyond_float(values):
        return _reading(values, "text", rules)
    if pa.types.is_integer(kind):
        return _reading(values, "category" if _CODE_NAMES.search(name) else "integer", rules)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _reading(values, "number", rules)
    if pa.types.is_temporal(kind):
        return _reading(values, "datetime", rules)
    return _from_texts(name, values, rules)


def find_decimal(columns: list[Any]) -> str:
    """The decimal mark of a file's texts: a comma where more columns are numbers with it than with a point."""
    comma, point = TextRules(decimal=","), TextRules()
    by_comma = sum(_reads(column, "number", comma) and not _reads(column, "number", point) for column in columns)
    by_point = sum(_reads(column, "number", point) and not _reads(column, "number", comma) for column in columns)
    return "," if by_comma > by_point else "."


def find_day_first(columns: list[Any]) -> bool:
    """True where more of a table's texts can only be dates with their day first than with their month first.

    >>> import pyarrow as pa
    >>> find_day_first([pa.array(["03/04/2025", "31/12/2025"]), pa.array([7])])
    True
    """
    import pyarrow as pa

    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
    texts = [c.unique().cast(pa.string()) for c in columns if any(test(c.type) for test in tests)]
    return sum(count_day_first(t) for t in texts) > sum(count_day_first(t, day_first=False) for t in texts)


def dirt_in(values: Any) -> tuple[str, ...]:
    """The texts of a column that mean missing and are not known as such, in a fixed order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(values.type):
        return ()
    found = set(pc.unique(pc.utf8_trim_whitespace(values)).to_pylist())
    return tuple(text for text in DIRT if text in found) if len(found) > 1 else ()


def _from_texts(name: str, values: Any, rules: TextRules) -> Reader:
    known = _known(values)
    if not len(known):
        return _reading(values, "text", rules)
    if not _codes(name, known):
        kinds = [kind for kind in _plausible(known) if _mostly_reads(known, kind, rules)]
        readings = [_reading(values, kind, rules) for kind in kinds]
        readable = [found for found in readings if found.unreadable <= UNREADABLE * len(known)]
        if readable:
            # The first of the most readable: an integer column holds no fraction at all.
            best = min(readable, key=lambda found: found.unreadable)
            names = best.type in ("integer", "number") and _long_numbers(known)
            return _reading(values, "text", rules) if names else best
    levels = len(known.unique())
    return _reading(values, "category" if levels <= max(MANY_LEVELS, len(known) / 2) else "text", rules)


def _long_numbers(known: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = known.filter(pc.match_substring_regex(known, r"^[+-]?\d+$"))
    if len(digits) < (1 - UNREADABLE) * len(known):
        return False
    return beyond_float(pc.cast(digits, pa.float64()))


def _plausible(known: Any) -> tuple[ColumnType, ...]:
    import pyarrow.compute as pc

    distinct = {text.lower() for text in known.unique().to_pylist()}
    if distinct <= {"true", "false"}:
        return ("boolean",)
    # Eight digits are a date before they are a number, if they can be.
    digits = pc.all(pc.match_substring_regex(known, r"^(19|20)\d{6}$")).as_py()
    return ("datetime", "integer", "number") if digits else ("integer", "number", "datetime")


def _mostly_reads(known: Any, kind: ColumnType, rules: TextRules) -> bool:
    """A look at the first values, which spares most columns the full attempt."""
    first = known.slice(0, _FIRST_LOOK)
    return _reading(first, kind, rules).unreadable <= len(first) / 5


def _codes(name: str, known: Any) -> bool:
    import pyarrow.compute as pc

    if _CODE_NAMES.search(name):
        return True
    return bool(pc.any(pc.match_substring_regex(known, r"^0\d+$")).as_py())


def _known(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    missing = pc.is_in(trimmed, value_set=pa.array(["", *NULLS, *DIRT]))
    return trimmed.filter(pc.and_not(pc.is_valid(trimmed), missing))


def _reads(values: Any, kind: ColumnType, rules: TextRules) -> bool:
    known = _known(values.unique())
    return bool(len(known)) and _reading(known, kind, rules).unreadable <= UNREADABLE * len(known)


def _reading(values: Any, kind: ColumnType, rules: TextRules) -> Reader:
    found = read_values(values, kind, replace(rules, nulls=("", *NULLS, *dirt_in(values))))
    return Reader(kind, found.values, _count(found))


def _count(found: Reading) -> int:
    import pyarrow.compute as pc

    return 0 if found.unreadable is None else int(pc.sum(found.unreadable).as_py() or 0)
