"""How `evergreen run` tells other programs what was decided: an exit code and a Markdown file."""

from collections.abc import Collection, Sequence
from pathlib import Path

import typer

from evergreen.errors import UserError
from evergreen.gate.decision import DecisionKind
from evergreen.stages.run import Conclusion

# Neither a mistake of the caller (2) nor a server that does not answer (1).
UNWANTED = 3


def parse_kinds(text: str) -> frozenset[DecisionKind]:
    """Decisions by their names, with commas between. Raises typer.BadParameter.

    >>> sorted(parse_kinds("reject,HOLD"))
    [<DecisionKind.HOLD: 'HOLD'>, <DecisionKind.REJECT: 'REJECT'>]
    """
    known = {kind.value.lower(): kind for kind in DecisionKind}
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise typer.BadParameter(f"{text!r}: {', '.join(unknown) or 'empty'}; choose from {', '.join(known)}")
    return frozenset(known[name] for name in names)


def exit_code(conclusions: Sequence[Conclusion], unwanted: Collection[DecisionKind]) -> int:
    """3 where one of the runs ended in a decision that the caller does not want, else 0."""
    return UNWANTED if any(one.report.decision.kind in unwanted for one in conclusions) else 0


def write_summary(path: Path, conclusions: Sequence[Conclusion]) -> None:
    """The decisions with their gates as Markdown, in the order of the runs. Raises UserError where that fails."""
    from evergreen.stages.conclude import to_text

    try:
        path.write_text("\n\n".join(map(to_text, conclusions)) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--summary: {path} cannot be written ({error.strerror}); name a file in a folder that is there"
        ) from error
