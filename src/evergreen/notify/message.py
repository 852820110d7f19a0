"""What a person is sent."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Message:
    """A fact in words: plain text, a title of one line. `link` is where to look, if there is such a place."""

    title: str
    body: str
    link: str | None = None


def moment(value: Any) -> str:
    """A moment, or its ISO form in a payload, as people read it; what is none stays as it is.

    >>> moment("2026-11-23T06:00:00+00:00"), moment("2026-11-23T07:00:00+01:00")
    ('2026-11-23 06:00 UTC', '2026-11-23 06:00 UTC')
    """
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return f"{at.astimezone(UTC) if at.tzinfo else at:%Y-%m-%d %H:%M} UTC"
