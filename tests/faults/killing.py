"""What must hold of every command, wherever it is killed.

Right after the blow the champion is the one from before or the one from after. Reconciling leaves nothing half done.
The same command, given again, ends as if nothing had happened.
"""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.child import WHO
from tests.faults.points import Point

HERS = list(WHO)


@dataclass(frozen=True)
class Case:
    """A command, the state in which it is given, and what is there when it has come to its end."""

    command: str
    state: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    kinds: tuple[str, ...]
    told: tuple[str, ...]
    aliases: dict[str, int] = field(default_factory=lambda: {"champion": 2, "previous": 1})
    versions: tuple[int, ...] = (1, 2)
    pinned: list[str] | None = None
    # What is served until then, where somebody moved the alias by hand.
    served: int | None = None


_P, _HELD = "PROMOTE", ("PROMOTE", "HOLD")
_ALONE = {"champion": 1}
# Only a promotion of Evergreen's own moves `previous`.
_HERE = {"champion": 1, "previous": 1}
_MOVED = ("alias_moved", "promoted", "promoted")
_BACK = {"champion": 1, "previous": 2}
CASES = {
    "run": Case("run", "crowned", (1,), (1, 2), (_P, _P), ("promoted", "promoted")),
    "approve": Case("approve", "waiting", (1,), (1, 2), (*_HELD, _P), ("held", "promoted", "promoted")),
    "approve what is not registered": Case(
        "approve", "doubtful", (1,), (1, 2), (*_HELD, _P), ("held", "promoted", "promoted")
    ),
    "reject": Case("reject", "waiting", (1,), (1,), (*_HELD, "REJECT"), ("held", "promoted", "rejected"), _ALONE),
    "expire": Case("expire", "waiting", (1,), (1,), (*_HELD, "REJECT"), ("held", "promoted", "rejected"), _ALONE),
    "roll back": Case(
        "roll back", "twice crowned", (1, 2), (1, 2, 1), (_P, _P, _P), ("promoted", "promoted", "rolled_back"), _BACK
    ),
    "roll back and pin": Case(
        "roll back and pin",
        "twice crowned",
        (1, 2),
        (1, 2, 1),
        (_P, _P, _P),
        ("promoted", "promoted", "rolled_back"),
        _BACK,
        pinned=HERS,
    ),
    "adopt a moved alias": Case(
        "reconcile", "moved, to be adopted", (1, 2), (1, 2, 1), (_P, _P, _P), _MOVED, _HERE, served=1
    ),
    "put a moved alias back": Case(
        "reconcile", "moved, to be put back", (1, 2), (1, 2, 2), (_P, _P, _P), _MOVED, served=1
    ),
    "promote a canary": Case("judge", "stood its trial", (1,), (1, 2), (*_HELD, _P), ("held", "promoted", "promoted")),
    "reject a canary": Case(
        "judge", "failed its trial", (1,), (1,), (*_HELD, "REJECT"), ("held", "promoted", "rejected"), _ALONE
    ),
    "pin": Case("pin", "crowned", (1,), (1,), (_P,), ("promoted",), _ALONE, (1,), HERS),
    "unpin": Case("unpin", "pinned", (1,), (1,), (_P,), ("promoted",), _ALONE, (1,)),
}


def survives(ground: Any, case: Case, point: Point) -> None:
    """Kill the command at the point, look, reconcile, look, command the same again, look."""
    killed = ground.act(case.command, point)
    assert killed == -signal.SIGKILL, f"{point} was never reached\n{ground.said}"
    finished = finished_work(ground.place.folder)
    seen = ground.recover(case.command)
    struck, settled, done = seen["struck"], seen["settled"], seen["done"]

    served = case.served or case.before[-1]
    assert struck["champion"] in (served, case.after[-1])
    assert set(struck["versions"]) <= set(case.versions)

    assert settled["problems"] == [], ground.said
    assert settled["running"] == 0
    assert tuple(settled["crowns"]) in (case.before, case.after)
    assert settled["crowns"][-1] == settled["champion"]
    if struck["champion"] != served:
        assert settled["champion"] == struck["champion"], "what was served is not taken back"

    # Who unpins twice is told that there is no pin.
    assert seen["again"] in ("", *(["tiny is not pinned"] if case.command == "unpin" else [])), ground.said
    expected = {
        "champion": case.after[-1],
        "aliases": case.aliases,
        "versions": list(case.versions),
        "crowns": list(case.after),
        "kinds": list(case.kinds),
        "waiting": 0,
        "intended": 0,
        "told": sorted(case.told),
        "pinned": case.pinned,
        "running": 0,
        "problems": [],
    }
    # A run whose predecessor died after all was done has nothing to decide.
    done["kinds"] = [kind for kind in done["kinds"] if kind != "SKIP"]
    assert {name: (done[name], value) for name, value in expected.items() if done[name] != value} == {}, ground.said
    after = finished_work(ground.place.folder)
    assert [path for path, written in finished.items() if after.get(path) != written] == [], "work was done again"


def finished_work(folder: Path) -> dict[str, int]:
    """Trials and models that are complete, with the time they were written."""
    found = (folder / "home" / "work").glob("*/*.json")
    return {str(path): path.stat().st_mtime_ns for path in found if path.name.startswith(("trial-", "model-"))}
