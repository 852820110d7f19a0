"""Who may ask what, from where, and how often; and the headers that every answer has."""

import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from evergreen.errors import UserError
from evergreen.serving.keys import Keys, Scope
from evergreen.serving.limits import Limits
from evergreen.serving.rates import Rates
from evergreen.serving.refused import Refused

Headers = Mapping[bytes, bytes]

# Answers are about somebody's rows: no cache keeps them, and no page of another origin may read or frame them.
ANSWER_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
PAGE_HEADERS = (
    *ANSWER_HEADERS,
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


def is_loopback(host: str) -> bool:
    """True for names and addresses that only this machine reaches.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "10.0.0.7", "")]
    [True, True, True, False, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def require_safe_host(host: str, keys: Keys) -> None:
    """Raise UserError for an address that others reach while everybody may ask."""
    if not keys.wanted and not is_loopback(host):
        raise UserError(
            f"{host or 'every address'} is reached from other machines, and without API keys anybody could ask. "
            "Make one with evergreen serve-key and name its file with --keys, or serve on 127.0.0.1"
        )


class Guard:
    """The door: raises a `Refused` for who may not ask, and returns the name under which it asks."""

    def __init__(self, keys: Keys, limits: Limits, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._rates = None if limits.per_second is None else Rates(limits.per_second, limits.burst, clock)

    @property
    def open(self) -> bool:
        """True where nobody needs a key."""
        return not self._keys.wanted

    @property
    def counts(self) -> bool:
        """True where everybody may ask so often only, so that a request is to be let in once."""
        return self._rates is not None

    @property
    def trouble(self) -> str:
        """What is wrong with the keys; empty where nothing is."""
        return self._keys.trouble

    def admit(self, headers: Headers, client: object, scope: Scope | None) -> str:
        """Look at the key, where keys are wanted, and at the rate. Any key will do for scope None."""
        asker = self._identify(headers, scope) or _address(client)
        if self._rates is not None and (wait := self._rates.take(asker)) > 0:
            after = str(max(1, round(wait + 0.5))).encode()
            raise Refused(429, "too_many_requests", "too many requests; slow down", headers=((b"retry-after", after),))
        return asker

    def knows(self, headers: Headers) -> bool:
        """True where a valid key was sent, or where none is needed and this machine was asked under its own name."""
        if self.open:
            return _is_own(headers.get(b"host", b""))
        return self._keys.find(_presented(headers)) is not None

    def _identify(self, headers: Headers, scope: Scope | None) -> str:
        if self.open:
            # A page that a browser has open may reach loopback under a name of its own; it has no key to show.
            require_own_name(headers)
            return ""
        text = _presented(headers)
        key = self._keys.find(text)
        if key is None:
            why = "this API key is not valid" if text else "send an API key as Authorization: Bearer …"
            raise Refused(401, "unauthorized", why, headers=((b"www-authenticate", b"Bearer"),))
        if scope is not None and not key.opens(scope):
            raise Refused(403, "forbidden", f"this API key has no scope {scope.value}")
        return f"key {key.name}"


def require_own_name(headers: Headers) -> None:
    """Raise a `Refused` unless the request was sent to a name of this machine."""
    if not _is_own(headers.get(b"host", b"")):
        raise Refused(403, "foreign_host", "without API keys only requests to localhost are answered")


@lru_cache(maxsize=64)
def _is_own(host: bytes) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host.decode('latin-1')}").hostname or "")
    except ValueError:
        return False


def _presented(headers: Headers) -> bytes:
    scheme, _, text = headers.get(b"authorization", b"").partition(b" ")
    return text.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"").strip()


def _address(client: object) -> str:
    return str(client[0]) if isinstance(client, tuple | list) and client else "unknown"
