"""What is missing is passed over on a laptop, and never in continuous integration."""

import pytest

from tests.missing import do_without
from tests.postgres import postgres


def test_a_machine_may_lack_something_and_continuous_integration_may_not(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no grail"):
        do_without("no grail")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no grail, and CI is set"):
        do_without("no grail")


def test_without_postgresql_continuous_integration_fails(monkeypatch):
    for name in ("_find_binaries", "_install_binaries"):
        monkeypatch.setattr(f"tests.postgres.{name}", lambda: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="PostgreSQL"), postgres():
        pass
