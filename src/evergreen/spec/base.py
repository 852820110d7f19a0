"""What every part of a spec shares: frozen, closed, durations as text."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Part(BaseModel):
    """A frozen part of a spec; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def parse_duration(text: Any) -> Any:
    """A duration such as `30d`, `12h` or `4w` as a timedelta; what is none is left for pydantic to refuse.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if isinstance(text, timedelta) or text is None:
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write a number and one of s, m, h, d, w, such as 30d")
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise ValueError(f"{text!r} is longer than time can be counted") from None


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back.

    >>> format_duration(timedelta(days=30)), format_duration(timedelta(hours=12))
    ('30d', '12h')
    """
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1))):
        if value % size == timedelta(0):
            return f"{value // size}{unit}"
    digits = f"{value // timedelta(seconds=1)}.{value.microseconds:06}"
    return f"{digits.rstrip('0').rstrip('.')}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str),
]
