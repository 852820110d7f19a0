"""What people decide on the terminal, and what status and history make of it."""

import getpass
from dataclasses import replace

import pytest

from evergreen.gate.decision import DecisionKind


@pytest.fixture
def held(crowned):
    """A decision that holds version 2: the same model as version 1, under another number."""
    registry, (first,) = crowned.registry, crowned.ledger.entries(crowned.model)
    version = registry.version(crowned.model, 1)
    source = registry.tracking.client.get_model_version(crowned.model, "1").source
    registry.tracking.client.create_model_version(crowned.model, source, run_id=version.run_id, tags=version.tags)
    waits = replace(first, id=None, kind=DecisionKind.HOLD, version=2, champion_before=1, champion_after=1)
    waits = replace(waits, fence=crowned.ledger.fence(crowned.model), intention=None)
    return crowned.ledger.record(replace(waits, reasons=("all checks passed; waits for a person",)))


def test_what_is_held_is_shown_answered_and_remembered(crowned, held, evergreen):
    status = evergreen("status")
    assert f"decision {held.id} on tiny waits for a person" in status.text
    assert f"evergreen approve {held.id} --why" in status.text
    done = evergreen("approve", held.id, "--why", "seen the [report]", "--by", "eva")
    assert (done.code, crowned.champion()) == (0, 2)
    assert "tiny: version 2 is champion" in done.text
    assert "waits for a person" not in evergreen("status").text
    history = evergreen("history", "tiny")
    assert f"approval of {held.id}" in history.text
    assert "approved by eva" in history.text
    assert evergreen("reject", held.id, "--why", "no").code == 2


def test_who_rejects_is_the_user_of_the_machine(crowned, held, evergreen):
    assert evergreen("reject", held.id, "--why", "wrong quarter").code == 0
    entry = crowned.ledger.resolution(held.id)
    assert (entry.kind, entry.decided_by) == (DecisionKind.REJECT, getpass.getuser())


@pytest.mark.parametrize(
    "command", [("approve", 1), ("reject", 1), ("rollback", "tiny"), ("pin", "tiny"), ("unpin", "tiny")]
)
def test_nothing_is_done_without_a_reason(crowned, evergreen, command):
    state = crowned.state()
    assert "--why" in evergreen(*command).err
    assert evergreen(*command, "--why", " ").code == 2
    assert crowned.state() == state


def test_a_rollback_and_its_pin_are_seen_in_status(crowned, held, evergreen):
    evergreen("approve", held.id, "--why", "fine")
    done = evergreen("rollback", "tiny", "--why", "refunds are missing", "--pin", "--by", "tom")
    assert (done.code, crowned.champion()) == (0, 1)
    assert "version 1 is champion again, instead of version 2" in done.text
    status = evergreen("status")
    assert "tiny is pinned by tom since" in status.text
    assert "refunds are missing" in status.text
    assert evergreen("unpin", "tiny", "--why", "they are back").code == 0
    assert "pinned" not in evergreen("status").text
    assert evergreen("rollback", "tiny", "--to", 1, "--why", "again").code == 2
    assert evergreen("rollback", "tiny", "--at", "yesterday", "--why", "x").code == 2


def test_a_broken_spec_stops_nobody_from_rolling_back(crowned, held, evergreen):
    evergreen("approve", held.id, "--why", "fine")
    crowned.spec_file.write_text("model: [")
    assert evergreen("rollback", "tiny", "--why", "everything is broken").code == 0
    assert crowned.champion() == 1
    assert "no spec" in evergreen("pin", "nowhere", "--why", "x").text


def test_status_tells_of_an_alias_that_somebody_moved(crowned, held, evergreen):
    crowned.registry.tracking.client.set_registered_model_alias("tiny", "champion", "2")
    text = evergreen("status").text
    assert "points at version 2, but the ledger knows of version 1: somebody moved it by hand" in text
    assert "evergreen rollback tiny --why" in text


def test_what_is_printed_of_a_rollback_is_whether_it_is_pinned(crowned, held, evergreen):
    evergreen("approve", held.id, "--why", "fine")
    back = ("rollback", "tiny", "--why", "refunds", "--by", "tom")
    assert "pinned" not in evergreen(*back).text
    assert "; it is pinned by tom: refunds" in evergreen(*back, "--pin").text
    assert "tiny is pinned by tom" in evergreen("status").text
    assert "; it is pinned by tom: refunds" in evergreen(*back).text
    (crowned.settings.configs / "tiny.yaml").rename(crowned.settings.configs / "small.yaml")
    assert "rolled back to version 1 by tom" in " ".join(evergreen("history", "tiny").text.split())
