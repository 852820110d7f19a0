"""How much of everything a server takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on requests. Beyond one of them a request is refused, and nothing of it is kept.

    `body_bytes` and `rows` are of a request, `held_bytes` of all bodies that are being read or answered, and
    a body comes within `body_seconds`. A request of
    more than `single_rows` rows goes to a lane of its own; `call_rows` is the most that a model is asked at once.
    `queue_rows` may wait for it. `per_second` requests of one key, or of one address, are answered in the long run,
    `burst` of them at once; None is any number.
    """

    body_bytes: int = 10_000_000
    held_bytes: int = 200_000_000
    body_seconds: float = 30.0
    rows: int = 50_000
    single_rows: int = 64
    call_rows: int = 256
    queue_rows: int = 4_096
    batches: int = 64
    per_second: float | None = None
    burst: int = 100
