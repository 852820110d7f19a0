"""Where a worker finds the code of the flows: the step that a deployment starts with."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from evergreen.errors import UserError

VARIABLE = "EVERGREEN_PROJECT"


def enter_project() -> dict[str, str]:
    """Go to the project's folder, whose `flows/` and `tasks/` are loaded next.

    Called by workers, as the deployments' pull step. `directory` is what Prefect goes on with.
    """
    project = find_project(os.environ, Path.cwd())
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    os.chdir(project)
    return {"directory": str(project)}


def find_project(environ: Mapping[str, str], folder: Path) -> Path:
    """The folder that EVERGREEN_PROJECT names; else the one that the worker was started in.

    Prefect's process workers start runs in a temporary folder, so that PWD is asked, too; and last the checkout that
    this package is installed from. Raises UserError where none of them holds the flows.
    """
    named = environ.get(VARIABLE)
    checkout = Path(__file__).parents[3]
    places = [Path(named).expanduser()] if named else [folder, *map(Path, filter(None, [environ.get("PWD")])), checkout]
    for place in places:
        if (place / "flows" / "retrain.py").is_file():
            return place.resolve()
    looked = ", ".join(map(str, dict.fromkeys(places)))
    raise UserError(f"no flows/retrain.py in {looked}; set {VARIABLE} on the worker to the project's folder")
