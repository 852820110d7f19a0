"""MLflow is looked at without importing it."""

import subprocess
import sys

from evergreen.registry.health import VERSION_TABLE, newest_revision
from evergreen.store.health import read_state


def test_the_newest_revision_is_the_one_that_mlflow_migrates_to(migrated):
    state = read_state(f"sqlite:///{migrated}", VERSION_TABLE)
    assert state is not None
    assert newest_revision() == state.revision


def test_mlflow_is_not_imported_for_it():
    code = "import sys, evergreen.registry.health as h; assert h.newest_revision(); print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
