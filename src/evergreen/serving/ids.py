"""Names for requests and predictions, unique without asking anybody."""

from datetime import datetime
from itertools import count


class Ids:
    """Counts up behind a beginning of its own, which says when the process started: names of one process are in order,
    and lie together in an index.
    """

    def __init__(self, started: datetime, nonce: str) -> None:
        self._prefix = f"{int(started.timestamp()):08x}{nonce}-"
        self._numbers = count(1)

    def __call__(self) -> str:
        """The next name.

        >>> from datetime import UTC
        >>> ids = Ids(datetime(2026, 3, 4, tzinfo=UTC), "ab"); ids(), ids()
        ('69a77600ab-1', '69a77600ab-2')
        """
        return f"{self._prefix}{next(self._numbers):x}"
