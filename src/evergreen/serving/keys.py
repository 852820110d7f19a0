"""Who may ask: API keys, of which only the hashes are kept anywhere."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from pathlib import Path

from evergreen.errors import UserError

ENVIRONMENT = "EVERGREEN_SERVE_KEYS"
_PREFIX = "evg_"
_LOOK_SECONDS = 1.0


class Scope(StrEnum):
    """What a key opens. Whoever is `admin` may do everything."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    ADMIN = "admin"


@dataclass(frozen=True)
class Key:
    """A key as it is kept: a name for logs and metrics, its scopes, and the SHA-256 of its text.

    The text has 256 random bits, so that a fast hash is as good as a slow one.
    """

    name: str
    scopes: frozenset[Scope]
    digest: bytes

    @property
    def line(self) -> str:
        """The key's line in a file."""
        return f"{self.name} {','.join(sorted(self.scopes))} {self.digest.hex()}"

    def opens(self, scope: Scope) -> bool:
        """True where the key has the scope, or is an administrator's."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def make_key(name: str, scopes: Sequence[Scope]) -> tuple[str, Key]:
    """A new key: the text for its owner, who alone will know it, and what is kept of it."""
    text = _PREFIX + secrets.token_urlsafe(32)
    return text, Key(name, frozenset(scopes), _digest(text.encode()))


def add_line(file: Path, key: Key) -> None:
    """Add a key to a file that only its owner may read. Raises UserError where that cannot be written."""
    try:
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "ab+") as opened:
            # The last line of an editor may have no end, and would take this one for its own.
            end = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, end - 1))
            start = "" if opened.read() in (b"", b"\n") else "\n"
            opened.write(f"{start}{key.line}\n".encode())
    except OSError as error:
        raise UserError(f"{file}: the key cannot be added ({error.strerror})") from None


def parse_keys(text: str, where: str) -> tuple[Key, ...]:
    """Keys from lines `name scopes sha256`; empty lines and those behind # do not count. Raises UserError.

    >>> [key.name for key in parse_keys(f"shop predict,feedback {'ab' * 32}", "keys")]
    ['shop']
    """
    lines = text.replace(";", "\n").splitlines()
    return tuple(
        _parse(line.strip(), f"{where}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.strip().startswith("#")
    )


class Keys:
    """The keys that are valid now. A file is read again when it changes; one that is gone or broken changes nothing.

    `clock` counts seconds. `trouble` says why the newest state of the file is not in force, empty where it is.
    """

    def __init__(
        self, fixed: Sequence[Key] = (), file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fixed, self._file, self._clock = tuple(fixed), file, clock
        self._known, self._stamp, self._looked = self._fixed, (0, 0), clock()
        self.trouble = ""
        if file is not None:
            # First the stamp: what changes while the file is read is then seen at the next look.
            self._stamp = _stamp(file)
            self._known = (*self._fixed, *_read(file))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], file: Path | None = None) -> "Keys":
        """Keys from EVERGREEN_SERVE_KEYS (lines, or parted by semicolons) and from a file. Raises UserError."""
        return cls(parse_keys(environment.get(ENVIRONMENT, ""), ENVIRONMENT), file)

    @property
    def wanted(self) -> bool:
        """True where requests need a key. Settled at the start: a file that was emptied lets nobody in."""
        return bool(self._fixed) or self._file is not None

    def find(self, text: bytes) -> Key | None:
        """The key with this text. Every key is looked at, in constant time each."""
        self._look()
        digest, found = _digest(text), None
        for key in self._known:
            if compare_digest(key.digest, digest):
                found = key
        return found

    def _look(self) -> None:
        now = self._clock()
        if self._file is None or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            if (stamp := _stamp(self._file)) != self._stamp:
                self._known, self._stamp = (*self._fixed, *_read(self._file)), stamp
            self.trouble = ""
        except UserError as error:
            self.trouble = f"the keys of before stay valid: {error}"


def _parse(line: str, where: str) -> Key:
    parts = line.split()
    try:
        name, scopes, digest = parts
        key = Key(name, frozenset(map(Scope, scopes.split(","))), bytes.fromhex(digest))
    except ValueError:
        raise UserError(
            f"{where}: want `name scopes sha256`, scopes of {', '.join(Scope)}; evergreen serve-key"
        ) from None
    if len(key.digest) != hashlib.sha256().digest_size:
        raise UserError(f"{where}: the hash of {name} is no SHA-256; evergreen serve-key prints the whole line")
    return key


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _read(file: Path) -> tuple[Key, ...]:
    try:
        return parse_keys(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: the keys cannot be read ({error})") from None


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise UserError(f"{file}: the keys cannot be read ({error})") from None
    return found.st_mtime_ns, found.st_size
