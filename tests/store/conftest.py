"""Ledgers on both databases."""

from pathlib import Path

import pytest

from evergreen.store.ledger import Ledger
from tests.postgres import Cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'evergreen.db'}"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.create_database()


@pytest.fixture
def ledger(store_url: str) -> Ledger:
    ledger = Ledger(store_url)
    ledger.prepare()
    return ledger
