"""Addresses of databases and servers, as they may be shown and as they are opened."""

import re
from pathlib import Path

_SECRET_IN_AUTHORITY = re.compile(r"(?<=://)([^/@:]*):([^/]*)@")
_SECRET_IN_QUERY = re.compile(r"(?i)([?&](?:password|passwd|pwd|token|secret|sslpassword)=)[^&]*")


def redacted(url: str) -> str:
    """The address without its secrets, fit for messages and logs.

    >>> redacted("postgresql://eva:s3c:r@t@db:5432/evergreen?password=s3cret&sslmode=require")
    'postgresql://eva:***@db:5432/evergreen?password=***&sslmode=require'
    >>> redacted("sqlite:////srv/evergreen.db")
    'sqlite:////srv/evergreen.db'
    """
    return _SECRET_IN_QUERY.sub(r"\1***", _SECRET_IN_AUTHORITY.sub(r"\1:***@", url))


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite address, with or without a driver; None for other databases and for `:memory:`.

    >>> sqlite_file("sqlite:////srv/evergreen.db").as_posix()
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
