"""An object store for tests: the part of S3 that MLflow's server and snapshots use, in memory, behind an access key."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Objects:
    """What is stored, by `bucket/key`, and who may ask."""

    access_key: str
    stored: dict[str, bytes] = field(default_factory=dict)
    url: str = ""


@contextmanager
def serve_objects(access_key: str, bucket: str) -> Iterator[Objects]:
    """A server with one bucket on a free port of loopback, until the block ends."""
    objects = Objects(access_key, {f"{bucket}/": b""})
    handler = type("Handler", (_Handler,), {"objects": objects})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    objects.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield objects
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    objects: Objects
    protocol_version = "HTTP/1.1"

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    def do_PUT(self) -> None:
        content = self._body()
        if not self._may():
            return
        self.objects.stored[self.key] = content
        self._answer(HTTPStatus.OK, ETag=_tag(content))

    def do_GET(self) -> None:
        if not self._may():
            return
        if "/" not in self.key.rstrip("/"):
            self._list(self.key.rstrip("/"))
        elif (content := self.objects.stored.get(self.key)) is None:
            self._refuse(HTTPStatus.NOT_FOUND, "NoSuchKey")
        elif (wanted := self.headers.get("Range", "")).startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = content[int(first) : int(last) + 1 if last else None]
            about = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
            self._answer(HTTPStatus.PARTIAL_CONTENT, part, **{"Content-Range": about})
        else:
            self._answer(HTTPStatus.OK, content, ETag=_tag(content))

    def do_HEAD(self) -> None:
        if not self._may():
            return
        content = self.objects.stored.get(self.key)
        if content is None and f"{self.key}/" not in self.objects.stored:
            self._refuse(HTTPStatus.NOT_FOUND, "")
        else:
            self._answer(HTTPStatus.OK, content or b"", ETag=_tag(content or b""))

    def do_DELETE(self) -> None:
        if self._may():
            self.objects.stored.pop(self.key, None)
            self._answer(HTTPStatus.NO_CONTENT)

    def _may(self) -> bool:
        # Signed by a header, or, where a server lets somebody else fetch, in the address.
        signed = self.headers.get("Authorization", "") + unquote(self.path)
        allowed = f"Credential={self.objects.access_key}/" in signed
        if not allowed:
            self._refuse(HTTPStatus.FORBIDDEN, "InvalidAccessKeyId")
        return allowed

    def _list(self, bucket: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        prefix, delimiter = f"{bucket}/{asked.get('prefix', '')}", asked.get("delimiter")
        contents, folders = "", set()
        for key, content in sorted(self.objects.stored.items()):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix) or key == f"{bucket}/":
                continue
            if delimiter and delimiter in rest:
                folders.add(key[len(bucket) + 1 : len(key) - len(rest)] + rest.split(delimiter)[0] + delimiter)
                continue
            name = escape(key[len(bucket) + 1 :])
            contents += f"<Contents><Key>{name}</Key><Size>{len(content)}</Size><ETag>{_tag(content)}</ETag>"
            contents += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        found = "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
        answer = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}{found}</ListBucketResult>"
        self._answer(HTTPStatus.OK, answer.encode())

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return _joined(body) if "aws-chunked" in self.headers.get("Content-Encoding", "") else body

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status: HTTPStatus, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Last-Modified": _WHEN, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status != HTTPStatus.NO_CONTENT:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_WHEN = "Thu, 01 Jan 2026 00:00:00 GMT"


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _joined(chunked: bytes) -> bytes:
    """A body that was sent in chunks, each behind its size in hexadecimal digits."""
    whole = b""
    while chunked:
        head, _, rest = chunked.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            break
        whole, chunked = whole + rest[:size], rest[size + 2 :]
    return whole
