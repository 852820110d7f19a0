"""A database is looked at, and stays as it is."""

import pytest

from evergreen.errors import IntegrityError
from evergreen.store.health import known_revisions, read_state
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD


def test_a_file_that_is_not_there_is_not_created(tmp_path):
    assert read_state(f"sqlite:///{tmp_path / 'evergreen.db'}") is None
    assert list(tmp_path.iterdir()) == []


def test_a_prepared_store_is_at_the_newest_migration_that_is_known(ledger):
    state = read_state(ledger.url)
    assert state is not None
    assert state.revision == HEAD == max(known_revisions())


def test_a_database_without_our_tables_has_no_revision(tmp_path, cluster):
    (tmp_path / "empty.db").touch()
    for url in (f"sqlite:///{tmp_path / 'empty.db'}", cluster.create_database()):
        state = read_state(url)
        assert state is not None
        assert state.revision is None
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_only_a_server_has_a_clock_of_its_own(ledger):
    Ledger(ledger.url).prepare()
    state = read_state(ledger.url)
    assert state is not None
    assert (state.now is None) == ledger.url.startswith("sqlite")


def test_a_file_that_is_no_database_is_damaged(tmp_path):
    (tmp_path / "evergreen.db").write_text("a letter" * 1000)
    with pytest.raises(IntegrityError, match="restore its backup"):
        read_state(f"sqlite:///{tmp_path / 'evergreen.db'}")
