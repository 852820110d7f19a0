"""A model in the middle of its life."""

import pytest

from evergreen.store.ledger import Ledger
from tests.stages.states.people import People, promote_next


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A prepared store, to be copied."""
    file = tmp_path_factory.mktemp("template") / "evergreen.db"
    store = Ledger(f"sqlite:///{file}")
    store.prepare()
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    People.template = file


@pytest.fixture
def people(template):
    """A model whose champion is version 2, which followed version 1."""
    machine = People()
    machine.begin(crowned=True)
    promote_next(machine)
    assert machine.champion == 2
    yield machine
    machine.teardown()


@pytest.fixture
def nobody(template):
    """A model that has never had a champion."""
    machine = People()
    machine.begin(crowned=False)
    yield machine
    machine.teardown()
