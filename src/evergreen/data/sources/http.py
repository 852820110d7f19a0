"""CSV or Parquet behind http(s): fetched to a temporary file, then read like any other."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.data.sources import csv, parquet
from evergreen.data.sources.stream import Request, Stream
from evergreen.errors import DataError, UnavailableError
from evergreen.spec.data import HttpSource

if TYPE_CHECKING:
    import httpx

_BLOCK = 1 << 20


@contextmanager
def open_stream(source: HttpSource, request: Request) -> Iterator[Stream]:
    """Stream a fetched file. A 404 is the user's to correct; a server that does not answer is not."""
    where = _without_secrets(source.url)
    with tempfile.TemporaryDirectory(prefix="evergreen-http-") as folder:
        file = Path(folder) / f"fetched.{source.format}"
        _fetch(source, file, where)
        if source.format == "parquet":
            yield parquet.open_file(str(file), where, request)
        else:
            yield csv.open_text(source, lambda: csv.unpacked(file.open("rb"), where), where, request)


def _fetch(source: HttpSource, file: Path, where: str) -> None:
    import httpx

    headers = _headers(source)
    try:
        # A header may be a secret, which only the server named in the spec may see.
        with (
            httpx.Client(timeout=source.timeout.total_seconds(), follow_redirects=not headers) as client,
            client.stream("GET", source.url, headers=headers) as response,
            file.open("wb") as target,
        ):
            _require_success(response, where)
            for block in response.iter_bytes(_BLOCK):
                target.write(block)
    except httpx.TimeoutException as error:
        seconds = source.timeout.total_seconds()
        raise UnavailableError(f"{where}: no answer within {seconds:g} s; try later, or set timeout") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise DataError(f"{where}: cannot be fetched ({error}); correct data.source.url") from error
    except httpx.TransportError as error:
        raise UnavailableError(f"{where}: the server does not answer ({error}); try later") from error


def _headers(source: HttpSource) -> dict[str, str]:
    missing = [name for name in source.header_env.values() if not os.environ.get(name)]
    if missing:
        raise DataError(f"the environment variable {missing[0]} (data.source.header_env) is not set; set it")
    return {header: os.environ[name] for header, name in source.header_env.items()}


def _require_success(response: "httpx.Response", where: str) -> None:
    status = response.status_code
    said = f"{where}: the server answers {status} {response.reason_phrase}"
    if status in (401, 403):
        raise DataError(f"{said}; name the environment variable of its key in data.source.header_env")
    if response.is_redirect:
        raise DataError(f"{said} to {response.headers.get('location', '?')}; write that address in data.source.url")
    if status in (408, 429) or response.is_server_error:
        raise UnavailableError(f"{said}; try later")
    if not response.is_success:
        raise DataError(f"{said}; correct data.source.url")


def _without_secrets(url: str) -> str:
    """The URL without user, password and query, any of which may be a secret.

    >>> _without_secrets("https://me:pw@example.com/sales.csv?key=1")
    'https://example.com/sales.csv'
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
