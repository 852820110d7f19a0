"""What MLflow throws, in our words: nothing of MLflow's leaves this room, and no failure is read as "there is none"."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from evergreen.address import printable, redacted, scrubbed, sqlite_file
from evergreen.errors import EvergreenError, UnavailableError, UserError

_PROBE_SECONDS = 5.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_REFUSALS = frozenset(
    ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
)
# MLflow waits for minutes and draws progress bars by default. What is set in the environment stays.
_MANNERS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turn failures of MLflow, its database and its artifact storage into UnavailableError; refusals stay errors."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise _translated(uri, error) from printable(error, uri)
    except OSError as error:
        raise unavailable(uri, str(error)) from printable(error, uri)
    except Exception as error:
        # The SQL store and the artifact stores let errors of their drivers through; these are not ours to import.
        if not type(error).__module__.startswith(("sqlalchemy.", "requests.", "urllib3.", "botocore.")):
            raise
        raise unavailable(uri, _first_line(error)) from printable(error, uri)


def unavailable(uri: str, reason: str) -> UnavailableError:
    """The one message for an MLflow that does not answer."""
    shown = redacted(uri)
    return UnavailableError(
        f"MLflow at {shown} does not answer ({scrubbed(reason, uri)}); start it, or correct MLFLOW_TRACKING_URI"
    )


def is_missing(error: Any) -> bool:
    """True only where MLflow itself says that what was asked for does not exist."""
    return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")


def is_served(uri: str) -> bool:
    """True where a tracking server stands behind the address, and not a database."""
    return uri.startswith(("http://", "https://"))


def probe(uri: str) -> None:
    """Ask once, for a few seconds, whether anything answers at the address.

    Raises UnavailableError if nothing does, UserError where the address cannot be one.
    """
    if sqlite_file(uri) is not None:
        _probe_sqlite(uri)
        return
    _require_address(uri)
    if is_served(uri):
        _probe_server(uri)
    else:
        _probe_port(uri)


def set_manners() -> None:
    """Bound the retries of MLflow's client in this process and keep it quiet, where the environment sets nothing."""
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)


def _require_address(uri: str) -> None:
    import httpx

    try:
        _ = urlsplit(uri).port
        if is_served(uri):
            httpx.URL(uri)
    except (ValueError, httpx.InvalidURL):
        # What they say may quote a part of a password.
        message = f"MLFLOW_TRACKING_URI: {redacted(uri)!r} is no address of a server or database"
        raise UserError(f"{message}; write one such as https://user:password@host:5000") from None


def _probe_server(uri: str) -> None:
    import httpx

    parts = urlsplit(uri)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/health", "", ""))
    try:
        # Any answer will do, whoever signed it: nothing secret is sent, and MLflow's own client checks certificates.
        httpx.get(bare, timeout=_PROBE_SECONDS, verify=False)
    except httpx.TransportError as error:
        raise unavailable(uri, str(error) or type(error).__name__) from printable(error, uri)


def _probe_sqlite(uri: str) -> None:
    import sqlite3
    from contextlib import closing

    file = sqlite_file(uri)
    assert file is not None
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=_PROBE_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise unavailable(uri, str(error)) from printable(error, uri)


def _probe_port(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    if not parts.hostname or port is None:
        return
    try:
        socket.create_connection((parts.hostname, port), timeout=_PROBE_SECONDS).close()
    except OSError as error:
        raise unavailable(uri, str(error)) from printable(error, uri)


def _translated(uri: str, error: Any) -> EvergreenError:
    if error.error_code in _REFUSALS:
        return EvergreenError(f"MLflow at {redacted(uri)} refused: {scrubbed(_first_line(error), uri)}")
    return unavailable(uri, _first_line(error))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
