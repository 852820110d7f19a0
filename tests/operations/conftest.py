"""A home with a prepared store and a few specs, and moments around which things happen to their models."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.operations.specs import Specs, read_specs
from evergreen.settings import Settings
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import Fact, FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox
from tests.receivers import Receiver, web_receiver

MONDAY = datetime(2026, 11, 16, 6, 10, tzinfo=UTC)
SPEC = {
    "task": "classification",
    "data": {"source": {"kind": "csv", "path": "table.csv"}, "target": "leaves"},
    "features": {"numeric": ["waited"]},
    "training": {
        "split": {"kind": "random", "holdout": 0.2, "seed": 1},
        "metric": "accuracy",
        "candidates": [{"kind": "logistic_regression"}],
    },
}


@dataclass(frozen=True)
class Home:
    """Settings with a prepared store, and what tests write into it."""

    settings: Settings

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.settings.store_url)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.store_url)

    @property
    def specs(self) -> Specs:
        return read_specs(self.settings)[0]

    def write(self, name: str, **parts: Any) -> None:
        """A spec in the folder of specs; `model` is its name unless given."""
        self.settings.configs.mkdir(exist_ok=True)
        (self.settings.configs / f"{name}.yaml").write_text(yaml.safe_dump({"model": name, **SPEC, **parts}))

    def fact(
        self, key: str, kind: FactKind = FactKind.REJECTED, at: datetime = MONDAY, model: str = "churn", **payload: Any
    ) -> Fact:
        """A fact in the outbox."""
        fact = Fact(key, kind, model, at, payload)
        assert self.outbox.put(fact)
        return fact

    def decide(self, at: datetime = MONDAY, kind: DecisionKind = DecisionKind.REJECT, **parts: Any) -> LedgerEntry:
        """A decision in the ledger, of a run that looked at data unless `snapshot` is None."""
        values = {"model": "churn", "reasons": ("so",), "checks": (), "reason": Reason.SCHEDULED, "as_of": at}
        values |= {"decided_by": "eva", "snapshot": "5a" * 32, "cause": Cause.RUN, **parts}
        return self.ledger.record(LedgerEntry(kind=kind, decided_at=at, **values))


@pytest.fixture(scope="session")
def prepared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file after all migrations."""
    file = tmp_path_factory.mktemp("store") / "evergreen.db"
    Ledger(f"sqlite:///{file}").prepare()
    return file


@pytest.fixture
def home(prepared_store: Path, tmp_path: Path) -> Home:
    places = {"EVERGREEN_HOME": str(tmp_path / "home"), "EVERGREEN_CONFIGS": str(tmp_path / "configs")}
    home = Home(Settings.from_environment(places))
    home.settings.home.mkdir()
    shutil.copy(prepared_store, home.settings.home / prepared_store.name)
    home.write("churn")
    return home


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with web_receiver() as known:
        yield known


@pytest.fixture
def monday() -> datetime:
    return MONDAY


@pytest.fixture
def later() -> Callable[..., datetime]:
    """A moment after the Monday: `later(minutes=3)`."""
    return lambda **span: MONDAY + timedelta(**span)
