"""Ledgers on both databases."""

import shutil
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from evergreen.address import with_driver
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD, VERSION_TABLE, metadata
from tests.postgres import Cluster

CHAINED = ("decisions", "champions", "pins", "canaries", "pruned")
END_OTHERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that nobody has prepared."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'evergreen.db'}"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.create_database()


@pytest.fixture
def ledger(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """A ledger of one's own that is prepared and empty."""
    if kind == "sqlite":
        file = tmp_path / "evergreen.db"
        shutil.copyfile(request.getfixturevalue("prepared_file"), file)
        return Ledger(f"sqlite:///{file}")
    url: str = request.getfixturevalue("prepared_database")
    empty(url)
    return Ledger(url)


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("prepared") / "evergreen.db"
    Ledger(f"sqlite:///{file}").prepare()
    return file


@pytest.fixture(scope="session")
def prepared_database(cluster: Cluster) -> str:
    url = cluster.create_database()
    Ledger(url).prepare()
    return url


def empty(url: str) -> None:
    """Make a prepared database on PostgreSQL as good as new: a hundred times quicker than a new one."""
    engine = sa.create_engine(with_driver(url), poolclass=sa.NullPool)
    tables = ", ".join(table for table in metadata.tables if table != "chain_heads")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while connection.execute(END_OTHERS).first():
            time.sleep(0.01)
        for statement in (
            "SET session_replication_role = replica",  # no triggers
            f"TRUNCATE {tables} RESTART IDENTITY",
            "DELETE FROM chain_heads",
            "INSERT INTO chain_heads (name, last_id, chain) VALUES "
            + ", ".join(f"('{name}', 0, '')" for name in CHAINED),
            f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'",
        ):
            connection.execute(sa.text(statement))
