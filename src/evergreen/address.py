"""Addresses of data, databases and servers: what in them is secret, and how they are opened."""

import re
from pathlib import Path
from urllib.parse import unquote

_AUTHORITY = re.compile(r"(?P<scheme>[\w+.-]*:?//)?(?P<user>.*)@", re.DOTALL)
_WELL_FORMED = re.compile(r"[\w+.-]+://")
_SECRET_NAME = (
    r"[\w.%-]*(?:passw|pwd|token|secret|signature|credential|(?:api|access|account|private)[_-]?key)[\w.%-]*"
    r"|key|sig|auth|odbc_connect"
)
_SECRET_IN_QUERY = re.compile(rf"(?i)(?P<name>[?&;](?:{_SECRET_NAME})=)(?P<value>[^&]*)")
# An empty authority: what follows is a path, in which an @ is a letter like any other.
_FILE = re.compile(r"(?:sqlite(?:\+\w+)?|file):///")
_HOST = re.compile(r"(?P<scheme>[\w+.-]*):?//(?P<host>[^/?#]*)")
_SHORTEST = 3  # letters; a shorter secret is not looked for in texts, where it would be found in every word


def redacted(url: str) -> str:
    """The address without its secrets, fit for messages and logs.

    All up to the last @ is taken for a secret, but for the user's name where there is a password to tell it from.

    >>> redacted("postgresql://eva:s3c/r@t@db:5432/evergreen?password=s3cret&sslmode=require")
    'postgresql://eva:***@db:5432/evergreen?password=***&sslmode=require'
    >>> redacted("https://t0ken@mlflow.example.com"), redacted("postgresql//eva:s3cret@db")
    ('https://***@mlflow.example.com', 'postgresql//***@db')
    >>> redacted("sqlite:////srv/ever@green.db")
    'sqlite:////srv/ever@green.db'
    """
    shown = _SECRET_IN_QUERY.sub(r"\g<name>***", url)
    match = _authority(shown)
    if match is None:
        return shown
    scheme = match["scheme"] or ""
    user, colon, _ = match["user"].partition(":")
    kept = f"{user}:" if colon and _WELL_FORMED.match(scheme) else ""
    return f"{scheme}{kept}***@{shown[match.end() :]}"


def scrubbed(text: str, url: str) -> str:
    """A text about an address, such as an error of a driver, without the secrets of the address.

    >>> scrubbed("no route to postgresql://eva:s3cret@db, tried eva with s3cret", "postgresql://eva:s3cret@db")
    'no route to postgresql://eva:***@db, tried eva with ***'
    """
    secrets = {form for secret in _secrets(url) for form in (secret, unquote(secret)) if len(form) >= _SHORTEST}
    return _replaced(text.replace(url, redacted(url)), sorted(secrets, key=len, reverse=True))


def secret_in(url: str) -> str | None:
    """What of an address, or of a path, should not stand in a file that people share; None where nothing is secret.

    >>> secret_in("https://example.com/sales.csv?api_key=x"), secret_in("s3://eva:x@bucket/sales.parquet")
    ('api_key', 'a password')
    >>> secret_in("https://example.com/sales@1.csv?page=2") is None
    True
    """
    if match := _SECRET_IN_QUERY.search(url):
        return match["name"][1:-1]
    # Paths may name archives inside archives: every part has an authority of its own.
    found = (_secret_of_host(match["scheme"], match["host"], url[match.end() :]) for match in _HOST.finditer(url))
    return next((secret for secret in found if secret), None)


def printable(error: BaseException, url: str) -> BaseException | None:
    """An error as the cause of ours: None where the address holds a secret, which its text may repeat."""
    return error if redacted(url) == url else None


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite address, with or without a driver; None for other databases and for `:memory:`.

    >>> sqlite_file("sqlite+pysqlite:////srv/evergreen.db").as_posix()
    '/srv/evergreen.db'
    >>> sqlite_file("postgresql://db/evergreen") is None
    True
    """
    match = re.match(r"sqlite(?:\+\w+)?:///([^?]+)", url)
    return Path(match[1]) if match and match[1] != ":memory:" else None


def with_driver(url: str) -> str:
    """The address with psycopg named as PostgreSQL's driver, where the address names none.

    >>> with_driver("postgres://db/evergreen")
    'postgresql+psycopg://db/evergreen'
    """
    return re.sub(r"^postgres(?:ql)?://", "postgresql+psycopg://", url)


def _authority(url: str) -> re.Match[str] | None:
    return None if _FILE.match(url) else _AUTHORITY.match(url)


def _secret_of_host(scheme: str, host: str, rest: str) -> str | None:
    user, at, _ = host.rpartition("@")
    if at and ":" in user:
        return "a password"
    if at and scheme in ("http", "https"):
        return "a user or token"
    # A password with a slash in it ends what looks like the host, and its start looks like a port.
    port = host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""
    return "a password" if "@" in rest and port and not port.isdecimal() else None


def _secrets(url: str) -> list[str]:
    found = [match["value"] for match in _SECRET_IN_QUERY.finditer(url)]
    if match := _authority(url):
        found += [match["user"], match["user"].partition(":")[2]]
    return found


def _replaced(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
