"""What `evergreen init` does: look at a table, write a spec beside the others."""

import os
import re
from pathlib import Path

from evergreen.errors import UserError

_MODEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def init_spec(model: str, data: Path, target: str, time: str | None, out: Path, force: bool = False) -> str:
    """Write the spec of a new model to `out`, whole or not at all, and return its text.

    Raises UserError when there is one already (unless `force`), when the name is none, or when the table has no such
    column or nothing to learn from.
    """
    from evergreen.scaffold.inspect import inspect
    from evergreen.scaffold.plan import plan_spec
    from evergreen.scaffold.write import write_spec

    if not _MODEL.fullmatch(model):
        raise UserError(f"{model!r} is no name for a model: start with a letter, go on with letters, digits, _ and -")
    if out.exists() and not force:
        raise UserError(f"{out}: is there already; choose another name, or overwrite it with --force")
    text = write_spec(plan_spec(model, inspect(data), target, time))
    _write_whole(out, text)
    return text


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        unfinished.unlink(missing_ok=True)
