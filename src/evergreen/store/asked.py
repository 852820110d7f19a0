"""What serving counted of requests in a time: also of those that got no answer, of which nothing is captured."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """Requests to a model in a time: answered, refused because their rows break rules, and failed (5xx).

    `broken` counts refused requests by what they broke, as `price: min`; a request that breaks several counts in each.
    """

    answered: int = 0
    refused: int = 0
    failed: int = 0
    broken: Mapping[str, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.refused + self.failed
