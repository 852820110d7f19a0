"""No tool of ours deletes a version that production, a person or unfinished work rests on."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.errors import UserError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.deletion import delete_version
from evergreen.registry.versions import Registry
from evergreen.stages.open import registry_of, tracking_of
from evergreen.store.entry import Cause
from evergreen.store.pins import Pins
from evergreen.store.protected import ProtectedVersion
from tests.succession import BEFORE, CHAMPION, REJECTED, WAITING


def client(project):
    return tracking_of(project.settings).client


def crown(project, number, cause=Cause.RUN, effect=True):
    """A decision that makes a version champion, and its effect on the ledger alone."""
    entry = replace(project.ledger.about(project.model, number)[0], id=None, kind=DecisionKind.PROMOTE, cause=cause)
    entry = project.ledger.record(
        replace(entry, champion_after=number, decided_at=datetime.now(UTC), training_key=None)
    )
    if effect:
        project.ledger.crown(entry.id, project.model, number, datetime.now(UTC))


def pin_and_move_on(project):
    Pins(project.settings.store_url).pin(project.model, "eva", "audit", datetime.now(UTC))
    crown(project, 1)
    crown(project, 2)


def hold_unregistered(project):
    """The challenger of version 3 is held by a decision that was made before it had a version."""
    entry = project.ledger.about(project.model, REJECTED)[0]
    project.ledger.record(replace(entry, id=None, kind=DecisionKind.HOLD, version=None, decided_at=datetime.now(UTC)))


def point(alias, number):
    return lambda project: client(project).set_registered_model_alias(project.model, alias, str(number))


def forget_aliases(project):
    """Somebody removed them by hand."""
    for alias in ("champion", "previous", "challenger"):
        client(project).delete_registered_model_alias(project.model, alias)


@pytest.mark.parametrize(
    ("prepare", "number", "why"),
    [
        (forget_aliases, CHAMPION, "it is champion"),
        (forget_aliases, BEFORE, "it was champion before the present one, and a rollback goes back to it"),
        (forget_aliases, WAITING, "decision 6 holds it until a person has answered"),
        (lambda project: crown(project, 2, Cause.ROLLBACK), CHAMPION, "it was champion before the present one"),
        (lambda project: crown(project, 2, Cause.ROLLBACK), 1, "it was champion before the present one"),
        (pin_and_move_on, CHAMPION, "it was pinned by eva"),
        (lambda project: crown(project, 1, effect=False), 1, "decision 7 promotes it and has not taken effect"),
        (hold_unregistered, REJECTED, "decision 7 holds it"),
        (point("champion", 1), 1, "alias champion points at it"),
        (point("previous", 1), 1, "alias previous points at it"),
        (point("challenger", REJECTED), REJECTED, "alias challenger points at it"),
        (point("staging", 1), 1, "alias staging points at it"),
    ],
)
def test_a_version_that_is_needed_may_not_be_deleted(aged, prepare, number, why):
    prepare(aged)
    registry, before = registry_of(aged.settings), aged.registry.aliases(aged.model)
    with registry.turn(aged.model), pytest.raises(ProtectedVersion, match=f"version {number} of tiny .*{why}"):
        registry.require_deletable(aged.model, number)
    assert aged.registry.aliases(aged.model) == before


def test_what_nobody_needs_is_deleted_and_its_run_stays(aged):
    registry, run_id = registry_of(aged.settings), aged.registry.version(aged.model, REJECTED).run_id
    with registry.turn(aged.model):
        registry.require_deletable(aged.model, REJECTED)
        delete_version(registry.tracking, aged.model, REJECTED)
        delete_version(registry.tracking, aged.model, REJECTED)
    assert aged.registry.versions(aged.model) == (6, 5, 4, 2, 1)
    assert run_id in {run.info.run_id for run in aged.parents()}
    with pytest.raises(UserError, match="has no version 3"):
        registry.require_deletable(aged.model, REJECTED)


def test_without_the_ledger_nothing_may_be_deleted(aged):
    with pytest.raises(ValueError, match="without the store"):
        Registry(tracking_of(aged.settings)).require_deletable(aged.model, REJECTED)


@pytest.mark.parametrize("number", [CHAMPION, BEFORE, WAITING])
def test_doubles_of_a_registration_are_never_a_version_that_is_needed(aged, number):
    # As if the champion had been taken for a double that MLflow registered just now.
    forget_aliases(aged)
    first, double = (client(aged).get_model_version(aged.model, str(n)) for n in (REJECTED, number))
    with pytest.raises(ProtectedVersion):
        registry_of(aged.settings)._only(aged.model, [first, double])
    assert number in aged.registry.versions(aged.model)


def test_doubles_that_nobody_needs_are_deleted(aged):
    first, double = (client(aged).get_model_version(aged.model, str(n)) for n in (1, REJECTED))
    assert registry_of(aged.settings)._only(aged.model, [first, double]).version == first.version
    assert aged.registry.versions(aged.model) == (6, 5, 4, 2, 1)
