"""A column of a table by the rules of a model's: the same as for JSON, judged for all rows at once."""

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.parse import EXACT, TextRules, read_values
from evergreen.serving.by_column import canonical
from evergreen.serving.handles import Column, Problem
from evergreen.serving.reader import MOST_PROBLEMS
from evergreen.serving.unfold import MOST_BYTES, TooMuch
from evergreen.serving.values import FIRST_MOMENT, LAST_MOMENT, LONGEST, Refusal, null_numbers, read_value, show
from evergreen.store.fields import NO_MOMENT, Field, texts

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING = texts(())
"""A column that could not be read."""

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000}


def whole(table: "pa.Table", name: str) -> Any:
    """A column in one piece. Raises TooMuch where its texts, written out, are too many bytes."""
    import pyarrow as pa
    from pyarrow import types

    column = table.column(name)
    if types.is_string_view(column.type):
        # Many rows may be views of the same bytes.
        if sum(map(_viewed, column.chunks)) > MOST_BYTES:
            raise TooMuch
        column = column.cast(pa.large_string())
    if types.is_dictionary(column.type):
        column = _unified(column)
    chunks = column.combine_chunks()
    return pa.concat_arrays(chunks.chunks) if isinstance(chunks, pa.ChunkedArray) else chunks


def _unified(column: Any) -> Any:
    """One dictionary for all chunks; values, where one holds a null, as Arrow joins no such dictionaries."""
    import pyarrow as pa

    if not any(chunk.dictionary.null_count for chunk in column.chunks):
        return column.unify_dictionaries()
    if sum(map(_repeated, column.chunks)) > MOST_BYTES:
        raise TooMuch
    return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks])


def _repeated(values: Any) -> int:
    """Bytes of a dictionary's texts, written out for every row."""
    import pyarrow.compute as pc

    if not _is_text(values.dictionary.type):
        return 0
    return int(pc.sum(pc.binary_length(values.dictionary).take(values.indices)).as_py() or 0)


def _viewed(views: Any) -> int:
    """Bytes of a chunk of views, written out: each view is 16 bytes, and begins with its length."""
    if not len(views):
        return 0
    lengths = np.frombuffer(views.buffers()[1], dtype=np.int32)[::4]
    return int(lengths[views.offset : views.offset + len(views)].astype(np.int64).sum())


def read_column(column: Column, values: Any) -> tuple[Field, list[Problem]]:
    """A column as a field, and the problems of its rows."""
    if (plain := _plain(column, values)) is not None:
        return plain, []
    if found := too_long(column, values) or _too_far(column, values):
        return NOTHING, [found]
    reading = read_values(values, column.type, TextRules(nulls=column.nulls, day_first=column.day_first))
    field = _field(column, reading.values)
    unreadable = None if reading.unreadable is None else np.asarray(reading.unreadable.to_numpy(zero_copy_only=False))
    doubtful = _suspects(column, field) if unreadable is None else np.arange(len(field))
    return field, _problems(column, field, values, unreadable, doubtful) if len(doubtful) else []


def _plain(column: Column, values: Any) -> Field | None:
    """A column as nearly all are: of float64, or of texts, that mean themselves and break no rule. None for any other,
    of which the exact way says the same, in a dozen calls of Arrow's.
    """
    import pyarrow as pa

    if column.type in ("integer", "number") and pa.types.is_float64(values.type):
        return _plain_numbers(column, values)
    if column.type in ("category", "text") and pa.types.is_string(values.type):
        return _plain_texts(column, values)
    return None


def _plain_numbers(column: Column, values: Any) -> Field | None:
    numbers = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    for null in null_numbers(column):
        numbers[numbers == null] = np.nan
    known = numbers[~np.isnan(numbers)]
    if len(known) < len(numbers) and not column.nullable:
        return None
    if len(known):
        low, high = known.min(), known.max()
        least = -np.finfo(np.float64).max if column.min is None else column.min
        most = np.finfo(np.float64).max if column.max is None else column.max
        if not least <= low <= high <= most:
            return None
    if column.type == "integer":
        if not ((np.trunc(known) == known) & (np.abs(known) < EXACT)).all():
            return None
        # There is one zero among whole numbers.
        numbers += 0.0
    return Field(column.type, numbers)  # type: ignore[arg-type]


def _plain_texts(column: Column, values: Any) -> Field | None:
    if values.null_count and not column.nullable:
        return None
    field = _coded(values)
    # The last is the null.
    return field if all(read_value(column, name) == name for name in field.names[:-1]) else None


def _too_far(column: Column, values: Any) -> Problem | None:
    """The Problem with a moment so far away that it would become another one when it is counted in microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if column.type != "datetime" or not (pa.types.is_timestamp(kind) or pa.types.is_date64(kind)):
        return None
    factor = _MICROSECONDS.get("ms" if pa.types.is_date64(kind) else kind.unit)
    if factor is None:
        return None
    counted = values.cast(pa.int64())
    far = pc.or_(pc.less(counted, FIRST_MOMENT // factor), pc.greater(counted, LAST_MOMENT // factor))
    place = pc.index(far, True).as_py()
    return Problem("type", "is no moment of the years 1 to 9999", column.name, place) if place >= 0 else None


def fits(column: Column, given: Any) -> bool:
    """A number where numbers are wanted, and so on; a text is no number."""
    from pyarrow import types

    if types.is_dictionary(given):
        given = given.value_type
    if types.is_null(given):
        return True
    number = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
    text = _is_text(given)
    if column.type in ("integer", "number"):
        return bool(number)
    if column.type == "boolean":
        return bool(number or types.is_boolean(given))
    if column.type == "datetime":
        return bool(text or types.is_timestamp(given) or types.is_date(given))
    return bool(text or number or types.is_boolean(given))


def _is_text(given: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(given) or types.is_large_string(given) or types.is_string_view(given))


def _field(column: Column, values: Any) -> Field:
    """Arrow values as a field of canonical ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type in ("integer", "number", "boolean"):
        numbers = np.array(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
        for null in null_numbers(column) if column.type != "boolean" else ():
            numbers[numbers == null] = np.nan
        return Field(column.type, numbers)
    if column.type == "datetime":
        moments = pc.fill_null(values.cast(pa.int64()), NO_MOMENT)
        return Field("datetime", np.array(moments.to_numpy(zero_copy_only=False), dtype=np.int64))
    return _coded(values)


def _coded(values: Any) -> Field:
    """Texts by number: as Arrow finds the different ones, none of those that many rows have is made twice."""
    import pyarrow.compute as pc

    coded = values.dictionary_encode()
    names = [*coded.dictionary.to_pylist(), None]
    places = pc.fill_null(coded.indices, len(names) - 1).to_numpy(zero_copy_only=False)
    return Field("text", np.asarray(places, dtype=np.int32), names)


def _suspects(column: Column, field: Field) -> Any:
    """Rows that may break a rule; the exact check says which of them do."""
    values = field.values
    if field.kind == "text":
        wrong = np.array([_judged(column, name) is not None for name in field.names], dtype=bool)
        return np.flatnonzero(wrong[values])
    if field.kind == "datetime":
        null = values == NO_MOMENT
        inside = (values >= FIRST_MOMENT) & (values <= LAST_MOMENT)
        return np.flatnonzero(np.where(null, not column.nullable, ~inside))
    broken = np.isnan(values) & (not column.nullable)
    if column.min is not None:
        broken |= values < column.min
    if column.max is not None:
        broken |= values > column.max
    return np.flatnonzero(broken)


def _judged(column: Column, value: Any) -> Refusal | None:
    """Why a canonical value is refused."""
    if column.type == "datetime" and value is not None:
        inside = FIRST_MOMENT <= value <= LAST_MOMENT
        return None if inside else Refusal("type", "is no moment of the years 1 to 9999")
    if isinstance(value, str) and len(value) > LONGEST[column.type]:
        return Refusal("length", f"has {len(value)} characters; at most {LONGEST[column.type]}")
    judged = read_value(column, value)
    return judged if isinstance(judged, Refusal) else None


def _problems(column: Column, field: Field, given: Any, unreadable: Any, doubtful: Any) -> list[Problem]:
    problems, read = [], canonical(field)
    for position in map(int, doubtful):
        if unreadable is not None and unreadable[position]:
            found: Refusal | None = _unreadable(column, given[position].as_py())
        else:
            value = read[position]
            found = _judged(column, None if value != value else value)  # noqa: PLR0124 - NaN
        if found is not None:
            problems.append(Problem(found.rule, found.why, column.name, position))
        if len(problems) >= MOST_PROBLEMS:
            break
    return problems


def _unreadable(column: Column, value: Any) -> Refusal:
    infinite = isinstance(value, float) and value in (float("inf"), float("-inf"))
    if infinite:
        return Refusal("finite", "is not finite; a missing value is null")
    return Refusal("type", f"is {show(value)[:40]}, which is no {column.type}")


def too_long(column: Column, values: Any) -> Problem | None:
    """The Problem with a text that is too long, seen before it is repeated for every row that has it.

    Raises TooMuch where short ones are repeated too often.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    repeated = pa.types.is_dictionary(values.type)
    texts = values.dictionary if repeated else values
    if column.type not in LONGEST or not _is_text(texts.type):
        return None
    lengths = pc.utf8_length(texts)
    longest = pc.max(lengths).as_py() or 0
    if longest > LONGEST[column.type]:
        why = f"has {longest} characters; at most {LONGEST[column.type]}"
        return Problem("length", why, column.name, None if repeated else pc.index(lengths, longest).as_py())
    if repeated and _repeated(values) > MOST_BYTES:
        raise TooMuch
    return None
