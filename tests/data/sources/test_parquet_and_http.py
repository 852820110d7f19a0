import http.server
import socket
import threading
import time
from typing import ClassVar

import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.errors import DataError, UnavailableError

TYPES = {"x": "number", "y": "category"}
TABLE = pd.DataFrame({"x": [1.0, 2.0], "y": ["p", "q"]})


def test_a_parquet_folder_is_one_table_in_the_order_of_its_files(tmp_path, take):
    folder = tmp_path / "parts"
    for name, part in (("b", TABLE.assign(x=[3.0, 4.0])), ("a", TABLE)):
        (folder / f"day={name}").mkdir(parents=True)
        part.to_parquet(folder / f"day={name}" / "part.parquet")
    snapshot = take({"kind": "parquet", "path": str(folder)}, {**TYPES, "day": "category"})
    frame = read_snapshot(snapshot.path)
    assert frame["x"].tolist() == [1, 2, 3, 4]
    assert frame["day"].tolist() == ["a", "a", "b", "b"]


def test_a_parquet_file_lies_on_any_file_system(take):
    TABLE.to_parquet("memory://evergreen-test/table.parquet")
    assert take({"kind": "parquet", "path": "memory://evergreen-test/table.parquet"}, TYPES).rows == 2


@pytest.mark.parametrize(
    ("content", "message"), [("a,b\n1,2\n", "is no Parquet"), ("", "is no Parquet"), (None, "there is no such file")]
)
def test_what_is_no_parquet_is_refused(tmp_path, write, take, content, message):
    path = str(tmp_path / "none.parquet") if content is None else write(content, "table.parquet")
    with pytest.raises(DataError, match=message):
        take({"kind": "parquet", "path": path}, TYPES)


def test_a_column_that_parquet_lacks_is_named(tmp_path, take):
    TABLE.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError, match="has no column 'yy'; did you mean 'y'"):
        take({"kind": "parquet", "path": str(tmp_path / "table.parquet")}, {"yy": "number", **TYPES})


class Handler(http.server.BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, bytes]] = {}

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/slow.csv":
            time.sleep(1.5)
        if path == "/moved.csv":
            return self._answer(302, b"", Location="/table.csv")
        if path == "/down.csv":
            return self._answer(503, b"")
        if path == "/secret.csv" and self.headers.get("X-Key") != "s3cret":
            return self._answer(401, b"")
        body = self.answers.get(path)
        return self._answer(404, b"") if body is None else self._answer(200, body)

    def _answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    TABLE.to_parquet(tmp_path / "served.parquet")
    csv = TABLE.to_csv(index=False).encode()
    Handler.answers = {
        "/table.csv": csv,
        "/secret.csv": csv,
        "/slow.csv": csv,
        "/table.parquet": (tmp_path / "served.parquet").read_bytes(),
    }
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(
    "source", [{"path": "/table.csv?page=1"}, {"path": "/table.parquet", "format": "parquet"}, {"path": "/moved.csv"}]
)
def test_a_file_is_fetched(server, take, source):
    url = server + source.pop("path")
    assert read_snapshot(take({"kind": "http", "url": url, **source}, TYPES).path)["x"].tolist() == [1, 2]


def test_a_key_is_sent_from_the_environment(server, take, monkeypatch):
    source = {"kind": "http", "url": f"{server}/secret.csv"}
    with pytest.raises(DataError, match=r"answers 401.*header_env"):
        take(source, TYPES)
    keyed = {**source, "header_env": {"X-Key": "SALES_KEY"}}
    with pytest.raises(DataError, match="SALES_KEY"):
        take(keyed, TYPES)
    monkeypatch.setenv("SALES_KEY", "s3cret")
    assert take(keyed, TYPES).rows == 2


def test_a_key_is_not_carried_to_where_a_server_points(server, take, monkeypatch):
    monkeypatch.setenv("SALES_KEY", "s3cret")
    with pytest.raises(DataError, match=r"answers 302 .* to /table\.csv"):
        take({"kind": "http", "url": f"{server}/moved.csv", "header_env": {"X-Key": "SALES_KEY"}}, TYPES)


def test_a_404_is_the_users_and_a_503_is_not(server, take):
    with pytest.raises(DataError, match=r"none\.csv: the server answers 404"):
        take({"kind": "http", "url": f"{server}/none.csv?customer=s3cret"}, TYPES)
    with pytest.raises(UnavailableError, match="answers 503"):
        take({"kind": "http", "url": f"{server}/down.csv"}, TYPES)


def test_a_server_that_does_not_answer_is_unavailable(server, take):
    with pytest.raises(UnavailableError, match=r"no answer within 0\.3 s"):
        take({"kind": "http", "url": f"{server}/slow.csv", "timeout": "0.3s"}, TYPES)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match="does not answer"):
        take({"kind": "http", "url": f"http://127.0.0.1:{port}/table.csv"}, TYPES)


def test_an_address_that_is_none_is_the_users(take):
    with pytest.raises(DataError, match=r"correct data\.source\.url"):
        take({"kind": "http", "url": "ftp://example.com/table.csv"}, TYPES)
