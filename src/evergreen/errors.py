"""Errors that carry the next step: what is wrong, where, and what to do about it."""


class EvergreenError(Exception):
    """Something stopped the work. Printed as one message, without a traceback."""

    exit_code = 1


class UserError(EvergreenError):
    """A mistake that the caller can put right: a spec, a file, an argument."""

    exit_code = 2


class SpecError(UserError):
    """A spec is missing, malformed or contradicts itself."""


class DataError(UserError):
    """The data cannot be what the spec says it is, so that no run can start from it."""


class UnavailableError(EvergreenError):
    """A server, database or folder that the run needs does not answer. Never read as "there is none"."""


class IntegrityError(EvergreenError):
    """Something stored is not what was written: a digest, a twin, a ledger row."""


class RowError(IntegrityError):
    """A row that the store itself refuses, however often it is asked: no other row is at fault."""


class PinnedChampion(UserError):  # noqa: N818 - the name is the message
    """A person keeps the champion where it is: nothing replaces it until it is unpinned."""


class StaleChampion(EvergreenError):  # noqa: N818 - the name is the message
    """What was to become champion cannot any more: the champion is another than expected, or the version was pruned."""
