"""The kinds of drift that can be imitated."""

from enum import StrEnum


class Drift(StrEnum):
    """What happens to live rows."""

    NONE = "none"
    COVARIATE = "covariate"  # other rows come, and what follows from them is as before
    CONCEPT = "concept"  # the same rows come, and something else follows from them
    PRIOR = "prior"  # one outcome becomes more frequent, its rows look as before
    BROKEN_FEED = "broken_feed"  # values are lost, or out of range
