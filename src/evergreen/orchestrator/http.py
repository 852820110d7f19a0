"""One call of Prefect's API: what it answers, or an error that says what is wrong."""

import base64
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evergreen.address import redacted
from evergreen.errors import UnavailableError, UserError

if TYPE_CHECKING:
    import httpx

# Over SQLite the server answers 503 while its file is locked, which passes.
_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.3
_BUSY, _SERVER_ERROR, _REFUSED, _UNAUTHORIZED = 503, 500, 400, 401
_LONGEST = 500


class Refused(UserError):  # noqa: N818 - the word says it
    """The server understood and said no; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def call(
    method: str,
    url: str,
    *,
    auth: str | None,
    values: Any = None,
    params: Mapping[str, Any] | None = None,
    seconds: float = 30.0,
) -> "httpx.Response":
    """The answer to one call; `auth` is `user:password`, `values` the JSON that is sent.

    Asks again for a while where the server says that it is busy. Raises UnavailableError where it does not answer or
    fails, Refused with its own words for everything else that is no success.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = _send(method, url, auth, values, params, seconds)
        if answer.status_code != _BUSY or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    return _require_success(answer, f"{method} {redacted(url)}")


def _send(
    method: str, url: str, auth: str | None, values: Any, params: Mapping[str, Any] | None, seconds: float
) -> "httpx.Response":
    import httpx

    # The form that Prefect's own client sends: its password may hold colons.
    token = base64.b64encode(auth.encode()).decode() if auth else ""
    headers = {"Authorization": f"Basic {token}"} if auth else {}
    try:
        # Certificates take longer to read than a server of this machine takes to answer.
        with httpx.Client(timeout=seconds, headers=headers, verify=url.startswith("https")) as client:
            return client.request(method, url, json=values, params=params)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        message = f"Prefect's server at {redacted(url)} does not answer ({why}); start it, or set PREFECT_API_URL"
        raise UnavailableError(message) from error


def _require_success(answer: "httpx.Response", what: str) -> "httpx.Response":
    status = answer.status_code
    if answer.is_success:
        return answer
    if status >= _SERVER_ERROR:
        raise UnavailableError(f"Prefect's server fails with {status} on {what}: {_detail(answer)}")
    hint = "; set PREFECT_API_AUTH_STRING to user:password" if status == _UNAUTHORIZED else ""
    if status < _REFUSED:
        hint = "; set PREFECT_API_URL to the address that ends with /api"
    raise Refused(f"Prefect's server refuses {what} ({status}): {_detail(answer)}{hint}", status)


def _detail(answer: "httpx.Response") -> str:
    """The server's own words, on one line."""
    try:
        said = answer.json()
    except ValueError:
        said = answer.text
    if isinstance(said, dict):
        said = said.get("detail") or said.get("exception_message") or said
    return " ".join(str(said).split())[:_LONGEST]
