"""What state MLflow is in, found out without importing it and without changing it."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from evergreen.errors import UnavailableError
from evergreen.registry.answers import is_served, unavailable

_REVISION = re.compile(r"(?m)^revision\s*(?::[^=]+)?=\s*['\"](\w+)")
_BEFORE = re.compile(r"(?m)^down_revision\s*(?::[^=]+)?=\s*(.+)$")
_QUOTED = re.compile(r"['\"](\w+)['\"]")
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_MIGRATIONS = "store/db_migrations/versions"

VERSION_TABLE = "alembic_version"
"""Where MLflow's database says at which migration it is."""


def newest_revision() -> str | None:
    """The migration that the installed MLflow brings its database to; None where its files do not say.

    Its migrations are read as texts: importing MLflow takes seconds.
    """
    found = find_spec("mlflow")
    folders = found.submodule_search_locations if found else None
    texts = [path.read_text() for folder in folders or () for path in Path(folder, _MIGRATIONS).glob("*.py")]
    revisions = {match[1] for text in texts if (match := _REVISION.search(text))}
    before = {name for text in texts if (match := _BEFORE.search(text)) for name in _QUOTED.findall(match[1])}
    newest = revisions - before
    return newest.pop() if len(newest) == 1 else None


def ask_server(uri: str, seconds: float) -> str:
    """The version of a tracking server. Raises UnavailableError where none answers at the address."""
    import httpx

    try:
        answer = httpx.get(f"{uri.rstrip('/')}/version", timeout=seconds, follow_redirects=True)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(uri, str(error) or type(error).__name__) from error
    return answer.text.strip()


def try_artifacts(uri: str, name: str, environ: Mapping[str, str], seconds: float) -> bool:
    """Write a file through a tracking server, read it and remove it; False where the server keeps no artifacts itself.

    Raises UnavailableError where any of it fails.
    """
    import httpx

    if not is_served(uri):
        raise ValueError("there is no tracking server")
    address, content = f"{uri.rstrip('/')}{_ARTIFACTS}/{name}", b"evergreen doctor"
    try:
        with httpx.Client(timeout=seconds, headers=_token(environ), auth=_account(environ)) as client:
            written = client.put(address, content=content)
            if written.status_code == httpx.codes.SERVICE_UNAVAILABLE and "--no-serve-artifacts" in written.text:
                return False
            written.raise_for_status()
            read = client.get(address)
            client.delete(address).raise_for_status()
            read.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(uri, str(error) or type(error).__name__) from error
    if read.content != content:
        raise UnavailableError(f"{uri}: a file that was written reads differently")
    return True


def _token(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _account(environ: Mapping[str, str]) -> tuple[str, str] | None:
    name = environ.get("MLFLOW_TRACKING_USERNAME")
    return (name, environ.get("MLFLOW_TRACKING_PASSWORD", "")) if name else None
