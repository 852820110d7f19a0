"""When a model is retrained: a cron expression and a time zone that exist."""

import difflib
import re
from collections.abc import Iterator

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Name, least and greatest number, and the words that stand for numbers from the least on. Sunday is 0 and 7.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def require_cron(text: str) -> str:
    """A cron expression of five fields; raises ValueError that names the field which is none.

    >>> require_cron("*/15 6-18 * * mon-fri")
    '*/15 6-18 * * mon-fri'
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        raise ValueError(f"{text!r} has {len(parts)} fields; cron has five: {names}, such as 0 6 * * 1")
    for part, (name, least, greatest, words) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if not _is_item(item, least, greatest, words):
                raise ValueError(f"{text!r}: {item!r} is no {name} ({least} to {greatest}, *, a-b, */n or a list)")
    return text


def require_timezone(name: str) -> str:
    """A time zone of the IANA database; raises ValueError with the nearest one.

    >>> require_timezone("Europe/Berlin")
    'Europe/Berlin'
    """
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # The folder of a continent raises OSError.
        close = difflib.get_close_matches(name, sorted(available_timezones()), n=1)
        hint = f"did you mean {close[0]}?" if close else "write one such as UTC or Europe/Berlin"
        raise ValueError(f"{name!r} is no time zone; {hint}") from None
    return name


def _is_item(item: str, least: int, greatest: int, words: tuple[str, ...]) -> bool:
    found = _ITEM.fullmatch(item)
    if found is None or (found["step"] is not None and int(found["step"]) == 0):
        return False
    numbers = list(_numbers((found["first"], found["last"]), least, words))
    return all(n is not None and least <= n <= greatest for n in numbers) and numbers == sorted(numbers)


def _numbers(ends: tuple[str | None, str | None], least: int, words: tuple[str, ...]) -> Iterator[int]:
    """Each end of a range as a number; -1 for a word that is none."""
    for end in ends:
        if end is not None:
            known = end.lower() in words
            yield least + words.index(end.lower()) if known else int(end) if end.isdecimal() else -1
