import subprocess
import sys

import pytest

from evergreen.errors import UnavailableError
from evergreen.store.lock import exclusive

ENTER = "import sys; from pathlib import Path; from evergreen.store.lock import exclusive\n"


def test_what_one_process_holds_another_waits_for_in_vain(tmp_path):
    code = f"{ENTER}with exclusive(Path(sys.argv[1]), timeout_seconds=0.1): pass"
    with exclusive(tmp_path / "folder" / "x.lock"):
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "folder" / "x.lock"], capture_output=True, text=True, check=False
        )
    assert "held by another process" in done.stderr


def test_a_holder_that_dies_frees_the_lock(tmp_path):
    code = f"{ENTER}import os\nwith exclusive(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "x.lock"], check=False)
    assert killed.returncode == -9
    with exclusive(tmp_path / "x.lock", timeout_seconds=0):
        pass


def test_a_lock_that_is_left_is_free_again(tmp_path):
    for _ in range(2):
        with exclusive(tmp_path / "x.lock", timeout_seconds=0):
            pass


def test_a_lock_where_no_file_can_be_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot be locked"), exclusive(tmp_path / "file" / "x.lock"):
        pass
