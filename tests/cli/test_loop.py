"""The loop, for real: every server starts, the world changes, and a better model answers in the end."""

from pathlib import Path

import pytest

from evergreen.store.ledger import Ledger
from evergreen.supervisor.state import read_state
from tests.machine import copy_code, evergreen

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(prepared_project, shopper_table, tmp_path) -> Path:
    """A project with one tiny spec, in a folder of its own."""
    project = type(prepared_project)(tmp_path / "project").create(shopper_table())
    copy_code(project.folder)
    return project.folder


def test_the_loop_closes(folder):
    done = evergreen(folder, "loop", "tiny", "--strength", "1", "--quiet", "1", "--minutes", "9")
    assert done.returncode == 0, done.stdout + done.stderr
    home = folder / "home" / "loop"
    for said in (
        "version 1 is trained, promoted and answers",
        "windows of traffic without a drift",
        "monitoring sees it: Realised loss",
        "Prefect ran retrain for reason performance",
        "serving answers with version 2",
        "none failed",
        "performance recovers",
        "the loop is closed",
    ):
        assert said in done.stdout
    ledger = Ledger(f"sqlite:///{home / 'evergreen.db'}")
    assert [crown.version for crown in ledger.history("tiny")][:2] == [1, 2]
    assert read_state(home) is None
    assert list(home.glob("**/*.html"))
