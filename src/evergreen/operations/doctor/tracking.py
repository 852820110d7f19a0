"""MLflow: whether it answers, and whether its database is the one that the installed version works with."""

from collections.abc import Iterator

from evergreen.address import redacted
from evergreen.operations.doctor.finding import Finding, asked, fine, first_line, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.registry.answers import is_served
from evergreen.registry.health import VERSION_TABLE, ask_server, newest_revision
from evergreen.store.health import read_state
from evergreen.supervisor.state import read_state as read_up_state
from evergreen.supervisor.state import up_folder

MLFLOW, SCHEMA = "mlflow", "mlflow schema"
_SECONDS = 2.0
_START = "start it, or correct MLFLOW_TRACKING_URI"


def look_at_mlflow(patient: Patient) -> Iterator[Finding]:
    """The server, or the database that stands for one, and its schema."""
    uri = patient.settings.tracking_uri
    if is_served(uri):
        reached = _ask(uri, _START)
        yield reached
        yield asked(SCHEMA, lambda: _schema_of_server(reached))
        return
    up = read_up_state(patient.settings.home)
    yield _ask(up.mlflow_ui, _log(patient)) if up and up.mlflow_ui else _look_at_database(uri)
    yield asked(SCHEMA, lambda: judge_schema(_revision(uri), newest_revision()))


def judge_schema(found: str | None, newest: str | None) -> Finding:
    """The migration of MLflow's database against that of the installed MLflow."""
    if found is None:
        return fine(SCHEMA, "nothing yet; the first run creates it")
    if newest is None:
        return unknown(SCHEMA, "the installed MLflow does not say which schema it needs")
    if found == newest:
        return fine(SCHEMA, f"at {found}")
    # Without the newer MLflow nobody can tell an older schema from a newer one: its history is not a row of numbers.
    return wrong(SCHEMA, f"at {found}, and the installed MLflow works with {newest}", _UPGRADE)


_UPGRADE = "back it up, then: mlflow db upgrade <its URL>; where that knows no such revision install the newer MLflow"


def _log(patient: Patient) -> str:
    return f"read {up_folder(patient.settings.home) / 'logs' / 'mlflow.log'}"


def _ask(uri: str, do: str) -> Finding:
    try:
        return fine(MLFLOW, f"{ask_server(uri, _SECONDS)} at {redacted(uri)}")
    except Exception as error:
        return wrong(MLFLOW, first_line(error), do)


def _look_at_database(uri: str) -> Finding:
    try:
        state = read_state(uri, VERSION_TABLE)
    except Exception as error:
        return wrong(MLFLOW, first_line(error), "restore it from its backup, or correct MLFLOW_TRACKING_URI")
    return fine(MLFLOW, f"{redacted(uri)} is created by the first run" if state is None else redacted(uri))


def _revision(uri: str) -> str | None:
    state = read_state(uri, VERSION_TABLE)
    return None if state is None else state.revision


def _schema_of_server(reached: Finding) -> Finding:
    if reached.do:
        return unknown(SCHEMA, "MLflow's server does not answer")
    return fine(SCHEMA, "its server sees to it: it does not start with another one")
