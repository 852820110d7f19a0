"""`evergreen prune` shows what may go, asks, and says what went."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evergreen.store.pruned import Kind, Pruned, PrunedLog


@pytest.fixture
def leftover(crowned):
    """What somebody who was killed has left two days ago."""
    path = Path(crowned.settings.snapshots) / ".unfinished-abc.parquet"
    path.write_bytes(b"half" * 1000)
    before = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(path, (before, before))
    return path


def test_a_dry_run_shows_what_may_go_and_changes_nothing(leftover, evergreen):
    answer = evergreen("prune", "--dry-run")
    assert answer.code == 0
    assert "its writer was killed" in answer.text
    assert "1 things may go, 4.0 kB" in answer.text
    assert leftover.exists()


def test_without_a_terminal_nothing_goes_unless_it_is_said(leftover, evergreen):
    answer = evergreen("prune")
    assert answer.code == 2
    assert "nothing was removed: nobody is there to ask; --yes removes what is listed" in answer.text
    assert leftover.exists()
    answer = evergreen("prune", "--yes", "--by", "tom")
    assert "removed: 1 of 1, 4.0 kB" in answer.text
    assert not leftover.exists()
    assert "nothing may go" in evergreen("prune").text


@pytest.mark.parametrize(("says", "stays"), [("n", True), ("y", False)])
def test_on_a_terminal_it_asks(leftover, evergreen, monkeypatch, says, stays):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _: says == "y")
    assert evergreen("prune").code == 0
    assert leftover.exists() is stays


def test_a_mistake_is_told(crowned, evergreen):
    assert "--older-than: 'soon' is no duration" in evergreen("prune", "--older-than", "soon").text
    assert "a day at least" in evergreen("prune", "--older-than", "2h").text
    assert "no decision on it in the ledger" in evergreen("prune", "other").text


def test_an_empty_home_has_nothing_to_prune(project, evergreen, monkeypatch):
    monkeypatch.setenv("EVERGREEN_HOME", str(project.folder / "new"))
    assert "nothing to prune" in evergreen("prune").text
    assert not (project.folder / "new").exists()


def test_history_says_what_was_pruned(crowned, evergreen):
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    PrunedLog(crowned.settings.store_url).note(Pruned(Kind.VERSION, crowned.model, "1", "old", "tom", moment))
    said = "version 1 was pruned on 2026-06-01 by tom: old"
    answer = evergreen("history", "tiny")
    assert "1 (pruned)" in answer.text
    assert said in answer.text
    assert said in evergreen("history", "tiny", "--at", "2100-01-01").text


def test_status_says_where_there_is_no_way_back(aged, evergreen):
    assert "no champion to go back to" not in evergreen("status").text
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    PrunedLog(aged.settings.store_url).note(Pruned(Kind.VERSION, aged.model, "4", "old", "tom", moment))
    text = evergreen("status").text
    assert "tiny has no champion to go back to: version 4 was pruned on 2026-06-01 by tom: old" in text
