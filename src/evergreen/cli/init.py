"""What `evergreen init` does: look at a table, write a spec beside the others."""

import re
import tempfile
from pathlib import Path

from evergreen.errors import SpecError, UserError
from evergreen.files import write_whole

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
    _require_loading(text, out)
    try:
        write_whole(out, lambda file: file.write(text.encode()))
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from error
    return text


def _require_loading(text: str, out: Path) -> None:
    """Raise UserError unless the text is a spec: what `init` wrote must never be the first thing to mend."""
    from evergreen.spec.load import load_spec

    with tempfile.TemporaryDirectory() as folder:
        tried = Path(folder) / out.name
        tried.write_text(text, encoding="utf-8")
        try:
            load_spec(tried)
        except SpecError as error:
            said = str(error).replace(str(tried), str(out))
            raise UserError(
                f"{said}\nThe table makes no working spec, so none was written; rename its columns"
            ) from error
