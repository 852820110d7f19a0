"""A process that makes one run: what it may skip, and that it still ends in order."""

import subprocess
import sys

import pytest


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_garbage_is_still_collected_while_a_run_lasts():
    code = """
import gc, weakref
from evergreen.cli.process import one_run

class Node:
    pass

with one_run():
    first = Node()
    first.itself = first
    seen = weakref.ref(first)
    del first
    filler = [[] for _ in range(200_000)]
    print(seen() is None)
"""
    assert _python(code) == "True"


def test_files_and_exit_handlers_are_finished_though_nothing_is_collected_at_the_end():
    code = """
import atexit, tempfile
from pathlib import Path
from evergreen.cli.process import one_run

with one_run():
    atexit.register(print, "handled")
    kept = tempfile.NamedTemporaryFile("w", delete=False)
    kept.write("whole")
    print(kept.name)
"""
    name, handled = _python(code).splitlines()
    with open(name, encoding="utf-8") as file:
        assert (file.read(), handled) == ("whole", "handled")


def test_duckdb_finds_nothing_to_report_at_the_end():
    code = """
from evergreen.cli.process import one_run

with one_run():
    import duckdb
    duckdb.sql("select 1").fetchall()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_a_block_that_is_freed_goes_back_to_the_system():
    code = """
from evergreen.cli.process import one_run

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

with one_run():
    before = resident()
    blocks = [bytearray(8 << 20) for _ in range(8)]
    held = resident() - before
    # The one freed last is not at the end of the heap: only a mapping of its own can go back.
    last = bytearray(1000)
    del blocks
    print(held > 50 << 20, resident() - before < 8 << 20)
"""
    assert _python(code) == "True True"
