"""Where files are: on this machine, behind an fsspec URL, or in an installed package."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.errors import DataError, UnavailableError

_PACKAGE = "package://"
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created")


def locate(path: str) -> str:
    """The path to open for a path in a spec: `package://name/file` and relative paths become absolute ones.

    A package is found without importing it. Raises DataError when it is not installed.

    >>> locate("s3://bucket/sales.parquet")
    's3://bucket/sales.parquet'
    """
    if path.startswith(_PACKAGE):
        return _in_package(path)
    return str(Path(path).expanduser().absolute()) if is_local(path) else path


def is_local(path: str) -> bool:
    """True for a path of this machine, with no protocol before it."""
    return "://" not in path


def filesystem_of(path: str) -> tuple[Any, str]:
    """The fsspec filesystem of a path, and the path inside it. Raises DataError for a protocol without a driver."""
    import fsspec

    try:
        filesystem, inside = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    return filesystem, inside


def require_file(path: str, given: str) -> str:
    """A located path that exists; raises DataError, in the words of the spec, when it does not."""
    filesystem, inside = filesystem_of(path)
    try:
        there = filesystem.exists(inside)
    except OSError as error:
        raise UnavailableError(f"{given}: does not answer ({error})") from error
    if there:
        return path
    where = "" if path == given else f" (looked for {path})"
    raise DataError(f"{given}: there is no such file{where}; correct data.source in the spec, or put the file there")


def changed_at(info: dict[str, Any]) -> datetime | None:
    """When a file was written, from its description by whichever kind of storage; None where that does not say."""
    found = next((info[name] for name in _CHANGED if info.get(name) is not None), None)
    if isinstance(found, (int, float)):
        return datetime.fromtimestamp(found, UTC)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found.replace(tzinfo=found.tzinfo or UTC) if isinstance(found, datetime) else None


def _in_package(path: str) -> str:
    name, _, inside = path.removeprefix(_PACKAGE).partition("/")
    if not name.isidentifier():
        raise DataError(f"{path}: {name!r} is no package name; write package://name/path/in/package")
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{path}: the package {name!r} is not installed; install it with: pip install {name}")
    return str(Path(next(iter(found.submodule_search_locations))) / inside)
