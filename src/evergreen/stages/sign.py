"""What a person does is signed: by whom, and why."""

from evergreen.errors import UserError


def sign(verb: str, by: str, why: str) -> str:
    """The sentence that goes to the ledger. Raises UserError where nobody, or no reason, is named.

    >>> sign("approved", "eva", "seen the report")
    'approved by eva: seen the report'
    """
    if not by.strip():
        raise UserError("nobody is named: say who does this with --by")
    if not why.strip():
        raise UserError("no reason is given: say why with --why, for whoever asks a year from now")
    return f"{verb} by {by}: {why}"
