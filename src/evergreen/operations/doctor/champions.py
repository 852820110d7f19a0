"""Alias `champion` of every model in the registry, against the champion that the ledger knows."""

from collections.abc import Iterator

from evergreen.operations.doctor.finding import Finding, asked, fine, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.registry.answers import is_served
from evergreen.registry.health import VERSION_TABLE, ask_server, newest_revision
from evergreen.store.health import read_state
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD

CHAMPIONS = "champions"
_SECONDS = 2.0


def look_at_champions(patient: Patient) -> Iterator[Finding]:
    """Whether production follows the ledger: runs, scoring and serving go by the alias."""
    yield asked(CHAMPIONS, lambda: _look(patient))


def _look(patient: Patient) -> Finding:
    store = read_state(patient.settings.store_url)
    if store is None or store.revision is None:
        return fine(CHAMPIONS, "nothing yet")
    if store.revision != HEAD:
        return unknown(CHAMPIONS, "not read before the store is migrated")
    ledger = Ledger(patient.settings.store_url)
    models = [model for model in ledger.models() if ledger.history(model)]
    if not models:
        return fine(CHAMPIONS, "none yet")
    return _why_unread(patient.settings.tracking_uri) or _compare(models, ledger, patient)


def _why_unread(uri: str) -> Finding | None:
    """UNKNOWN where the registry is not there or of another version: its own client would wait, create or migrate it.

    Raises UnavailableError where it does not answer.
    """
    if is_served(uri):
        ask_server(uri, _SECONDS)
        return None
    state = read_state(uri, VERSION_TABLE)
    if state is None or state.revision != newest_revision():
        return unknown(CHAMPIONS, "MLflow's database is not there, or not of the installed version")
    return None


def _compare(models: list[str], ledger: Ledger, patient: Patient) -> Finding:
    from evergreen.stages.moved import look_once, next_step, policy_of
    from evergreen.stages.open import registry_of

    registry = registry_of(patient.settings)
    suspects = [model for model in models if look_once(ledger, registry, model)]
    # Twice instead of in the registry's turn, which nobody should wait for here: a promotion may end between two reads.
    moves = [move for model in suspects if (move := look_once(ledger, registry, model))]
    if not moves:
        return fine(CHAMPIONS, f"the aliases of {len(models)} are where the ledger put them")
    step = next_step(moves[0], policy_of(moves[0].model, patient.settings))
    return wrong(CHAMPIONS, "; ".join(map(str, moves)), step)
