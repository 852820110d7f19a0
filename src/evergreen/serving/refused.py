"""What is said to somebody who is not answered: one form for every status."""

from collections.abc import Sequence
from typing import Any

from evergreen.serving.handles import Problem

# Beyond this many a client learns nothing more, and the answer would grow with the request.
_MOST_PROBLEMS = 100


class Refused(Exception):  # noqa: N818 - it is an answer, and no error of ours
    """A request that gets no prediction, with the status and the body that say why.

    `kind` is one word for programs, `message` one sentence for people; neither repeats what was sent.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        problems: Sequence[Problem] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.problems, self.headers = tuple(problems), tuple(headers)

    @property
    def content(self) -> dict[str, Any]:
        """The body, as JSON has it.

        >>> Refused(404, "unknown_model", "no such model").content["error"]["kind"]
        'unknown_model'
        """
        shown = [_shown(problem) for problem in self.problems[:_MOST_PROBLEMS]]
        return {"error": {"kind": self.kind, "message": self.message, "problems": shown}}


def malformed(why: str) -> Refused:
    """A body that is no request at all."""
    return Refused(400, "malformed", why)


def invalid(problems: Sequence[Problem]) -> Refused:
    """Rows that break the rules of the model's columns."""
    count = len(problems)
    found = f"{count} problems" if count > 1 else "1 problem"
    return Refused(422, "invalid", f"the request breaks rules: {found}", problems)


def busy(what: str) -> Refused:
    """More is waiting than will be answered soon."""
    return Refused(503, "busy", f"{what}; ask again in a second", headers=((b"retry-after", b"1"),))


def not_kept(what: str) -> Refused:
    """The store does not take what has to be in it before anybody is answered."""
    return Refused(503, "not_kept", f"{what} cannot be kept now; ask again", headers=((b"retry-after", b"5"),))


def _shown(problem: Problem) -> dict[str, Any]:
    return {"field": problem.field, "row": problem.row, "rule": problem.rule, "why": problem.why}
