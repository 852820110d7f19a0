"""What somebody has to be told: one fact each, told once."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5


class FactKind(StrEnum):
    """What happened. The values are the words of a spec's `notify.on`, apart from NOTE."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    HELD = "held"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    ALIAS_MOVED = "alias_moved"
    DRIFT = "drift"
    PERFORMANCE = "performance"  # a champion answers worse than it did, and is retrained
    LABELS = "labels"  # it may, and labels would tell
    FAULTS = "faults"  # what it is asked about is broken
    ALERT = "alert"  # anything else that monitoring saw
    SILENCE = "silence"
    NOTE = "note"  # what tending has to remember, told to nobody


@dataclass(frozen=True)
class Fact:
    """Something that happened to a model, `at` an aware moment.

    `key` says what it was, so that the same fact is known once however often it is reported:
    `decision:12`, `drift:churn:2026-11-16T06:00:00+00:00`. `payload` holds JSON values and no secrets.
    """

    key: str
    kind: FactKind
    model: str
    at: datetime
    payload: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        """The same for the same key, everywhere: what receivers recognise a repetition by.

        >>> moment = datetime.fromisoformat("2026-11-16T06:00:00+00:00")
        >>> str(Fact("decision:12", FactKind.HELD, "churn", moment).id)
        '30b1cd17-329c-5077-8e71-fe8a128fdba2'
        """
        return uuid5(NAMESPACE_URL, f"evergreen:{self.key}")
