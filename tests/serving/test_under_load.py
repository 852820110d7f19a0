"""A real server under load, while its champion changes and when it is killed: benchmarks/serving, in short."""

import asyncio
import os
import sys
import threading
from datetime import UTC, datetime

import pytest

from benchmarks.serving import kills, reigns
from benchmarks.serving.client import Reply
from benchmarks.serving.process import running
from benchmarks.serving.swaps import ROWS, Heard, ask, judge
from evergreen.serving.fetch import fetch
from tests.faults.child import smoke_here
from tests.servers import free_port


@pytest.fixture
def fetched(crowned):
    """A project whose champion another server on this machine has fetched already, which takes a process of its own."""
    bring(crowned)
    return crowned


def bring(project):
    fetch(project.model, project.settings, datetime.now(UTC))


def test_champions_change_under_load_and_every_answer_is_of_the_version_that_it_names(fetched, monkeypatch):
    monkeypatch.setattr("evergreen.stages.rollback.smoke_test", smoke_here)
    port, heard, over = free_port(), Heard(), threading.Event()
    command = [sys.executable, "-m", "evergreen.cli.main", "serve", fetched.model, "--port", str(port)]
    log = fetched.folder / "serve.log"
    with running(command, f"http://127.0.0.1:{port}/ready", os.environ, log):
        asking = threading.Thread(target=lambda: asyncio.run(ask(port, 2, 0.05, heard, over.is_set)))
        asking.start()
        try:
            changes = list(reigns.change_champions(fetched, port, 2, bring))
        finally:
            over.set()
            asking.join()
    own = {version: reigns.probabilities(fetched, version, ROWS) for version in (1, 2)}
    found = judge(heard, own)
    assert [change.version for change in changes] == [2, 1]
    assert heard.failed == []
    assert (found.mixed, found.versions) == (0, 2)
    assert found.rows > found.requests > 100


def test_an_answer_with_the_values_of_another_version_is_noticed():
    own = {1: [0.1] * len(ROWS), 2: [0.9] * len(ROWS)}
    heard = Heard()
    said = (
        b'{"version": 2, "predictions": [{"probabilities": {"no": 0.1, "yes": 0.9}}, {"probabilities": {"yes": 0.1}}]}'
    )
    heard.note([0, 1], Reply(200, {b"x-evergreen-model-version": b"2"}, said))
    assert judge(heard, own).mixed == 1
    heard.note([0, 1], Reply(200, {b"x-evergreen-model-version": b"1"}, said))
    heard.note([0], Reply(503, {}, b""))
    assert len(heard.failed) == 2
    with pytest.raises(ValueError, match="alike"):
        judge(heard, {**own, 3: own[1]})


@pytest.mark.parametrize("options", [("--durable",), ()], ids=["durable", "asynchronous"])
def test_a_kill_loses_no_durable_answer_and_of_the_others_only_the_last(fetched, options):
    found = kills.kill_once(fetched, 1, 0.8, options)
    kept = [name for name in found.acknowledged if name not in set(found.lost)]
    assert kept == list(found.acknowledged[: len(kept)]), "what is lost is the end of what was answered"
    assert kept
    if options:
        assert not found.lost
