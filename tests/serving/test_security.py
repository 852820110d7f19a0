"""Who is let in: keys, scopes, rates, names of this machine, and addresses that are served on."""

import os

import pytest

from evergreen.errors import UserError
from evergreen.serving import keys as keys_module
from evergreen.serving.keys import ENVIRONMENT, Keys, Scope, add_line, make_key, parse_keys
from evergreen.serving.limits import Limits
from evergreen.serving.rates import Rates
from evergreen.serving.security import require_safe_host
from tests.serving.application import ROW, application, ask, served


def bearer(text):
    return {"authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def made():
    return {scope: make_key(scope.value, [scope]) for scope in Scope}


@pytest.fixture(scope="module")
def guarded(made):
    return application(served(), keys=Keys([key for _, key in made.values()]))


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("predict", "/predict", 200),
        ("feedback", "/predict", 403),
        ("admin", "/predict", 200),
        ("predict", "/feedback", 403),
        ("feedback", "/feedback", 503),  # let in; there is no store
        ("predict", "/invocations", 400),  # let in; the body is of another form
    ],
)
def test_a_key_opens_what_its_scopes_say(guarded, made, scope, path, status):
    text, _ = made[Scope(scope)]
    assert ask(guarded, "POST", path, json=ROW, headers=bearer(text)).status_code == status
    assert ask(guarded, "POST", path, json=ROW, headers={"x-api-key": text}).status_code == status


@pytest.mark.parametrize(
    "headers", [{}, bearer("evg_wrong"), bearer(""), {"authorization": "Basic eDp5"}, bearer("x" * 9999)]
)
@pytest.mark.parametrize("path", ["/predict", "/metrics", "/version", "/openapi.json"])
def test_without_a_valid_key_nothing_is_said(guarded, headers, path):
    reply = ask(guarded, "POST" if path == "/predict" else "GET", path, headers=headers)
    assert (reply.status_code, reply.json()["error"]["kind"]) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_whoever_watches_needs_no_key_and_learns_little(guarded, made):
    assert ask(guarded, "GET", "/health").status_code == 200
    assert ask(guarded, "GET", "/ready").json() == {"status": "ready"}
    assert "models" in ask(guarded, "GET", "/ready", headers=bearer(made[Scope.PREDICT][0])).json()
    assert "parcels" not in ask(guarded, "GET", "/docs").text


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_without_keys_requests_to_this_machine_are_answered(host):
    assert ask(application(served()), "POST", "/predict", json=ROW, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.7", "", "[", "localhost.evil.example"])
def test_without_keys_other_names_are_refused(host):
    # A page of another origin can give itself a name that leads to this machine.
    app = application(served())
    for method, path in (("POST", "/predict"), ("GET", "/metrics"), ("GET", "/openapi.json")):
        reply = ask(app, method, path, headers={"host": host})
        assert (reply.status_code, reply.json()["error"]["kind"]) == (403, "foreign_host")


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.7:8000", ""])
def test_another_name_learns_of_readiness_no_more_than_the_status(host):
    # A container's probe asks by its address, and needs the status.
    app = application(served())
    assert ask(app, "GET", "/ready", headers={"host": host}).json() == {"status": "ready"}
    assert "models" in ask(app, "GET", "/ready", headers={"host": "localhost:8000"}).json()


def test_no_other_origin_is_allowed_to_read(guarded, made):
    headers = {"origin": "https://evil.example", **bearer(made[Scope.PREDICT][0])}
    reply = ask(guarded, "POST", "/predict", json=ROW, headers=headers)
    assert not [name for name in reply.headers if name.startswith("access-control")]
    early = ask(guarded, "OPTIONS", "/predict", headers={**headers, "access-control-request-method": "POST"})
    assert early.status_code == 405
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("host", "safe"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("", False)])
def test_without_keys_only_loopback_is_served_on(host, safe):
    require_safe_host(host, Keys([make_key("a", [Scope.ADMIN])[1]]))
    if safe:
        require_safe_host(host, Keys())
    else:
        with pytest.raises(UserError, match="serve-key"):
            require_safe_host(host, Keys())


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_keys_are_exchanged_without_a_restart(tmp_path):
    file, clock = tmp_path / "keys", Clock()
    (old_text, old), (new_text, new) = make_key("old", [Scope.PREDICT]), make_key("new", [Scope.PREDICT])
    add_line(file, old)
    keys = Keys(file=file, clock=clock)
    assert keys.find(old_text.encode()) == old
    file.write_text(f"# the next one\n\n{new.line}\n")
    os.utime(file, ns=(1, 1))
    clock.now = 2.0
    assert keys.find(new_text.encode()) == new
    assert keys.find(old_text.encode()) is None


def test_a_key_is_added_behind_a_line_that_has_no_end(tmp_path):
    file, (_, old), (_, new), (_, last) = tmp_path / "keys", *(make_key(name, [Scope.PREDICT]) for name in "abc")
    file.write_text(old.line)
    add_line(file, new)
    add_line(file, last)
    assert parse_keys(file.read_text(), "keys") == (old, new, last)
    assert file.read_text() == f"{old.line}\n{new.line}\n{last.line}\n"


def test_a_change_while_the_keys_are_first_read_is_seen(tmp_path, monkeypatch):
    file, clock = tmp_path / "keys", Clock()
    (_, old), (text, new) = make_key("old", [Scope.PREDICT]), make_key("new", [Scope.PREDICT])
    add_line(file, old)
    read = keys_module._read

    def changed_meanwhile(path):
        found = read(path)
        add_line(path, new)
        return found

    monkeypatch.setattr(keys_module, "_read", changed_meanwhile)
    keys = Keys(file=file, clock=clock)
    monkeypatch.undo()
    clock.now = 2.0
    assert keys.find(text.encode()) == new


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_text("shop everything 12")])
def test_a_spoilt_file_changes_nothing_and_is_reported(tmp_path, spoil):
    file, clock = tmp_path / "keys", Clock()
    text, key = make_key("shop", [Scope.PREDICT])
    add_line(file, key)
    keys = Keys(file=file, clock=clock)
    spoil(file)
    clock.now = 2.0
    assert keys.find(text.encode()) == key
    assert str(file) in keys.trouble
    said = ask(application(served(), keys=keys), "GET", "/ready", headers=bearer(text)).json()
    assert str(file) in said["keys"]


def test_a_file_that_is_emptied_lets_nobody_in(tmp_path):
    file, clock = tmp_path / "keys", Clock()
    text, key = make_key("shop", [Scope.PREDICT])
    add_line(file, key)
    keys = Keys(file=file, clock=clock)
    file.write_text("")
    clock.now = 2.0
    assert keys.find(text.encode()) is None
    assert keys.wanted


def test_only_the_owner_reads_the_file_and_no_text_is_in_it(tmp_path):
    text, key = make_key("shop", [Scope.PREDICT, Scope.FEEDBACK])
    add_line(tmp_path / "keys", key)
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    written = (tmp_path / "keys").read_text()
    assert text not in written
    assert parse_keys(written, "keys") == (key,)
    assert Keys.from_environment({ENVIRONMENT: f"{key.line};{key.line}"}).find(text.encode()) == key


@pytest.mark.parametrize(
    "line", ["shop", "shop predict", "shop everything " + "ab" * 32, "shop predict zz", "shop predict abcd"]
)
def test_a_line_that_is_no_key_is_named(line):
    with pytest.raises(UserError, match="keys, line 2"):
        parse_keys(f"\n{line}", "keys")


def test_a_bucket_empties_and_fills():
    clock = Clock()
    rates = Rates(2.0, 3.0, clock)
    assert [rates.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert rates.take("b") == 0.0
    clock.now = 0.5
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0.0


def test_of_many_askers_the_oldest_is_forgotten():
    rates = Rates(1.0, 1.0, Clock(), most=2)
    for asker in ("a", "b", "c"):
        assert rates.take(asker) == 0.0
    assert rates.take("c") > 0.0
    assert rates.take("a") == 0.0


def test_who_asks_too_often_is_told_when_to_come_back(made):
    keys = Keys([key for _, key in made.values()])
    app = application(served(), keys=keys, limits=Limits(per_second=0.01, burst=2))
    statuses = [ask(app, "POST", "/predict", json=ROW, headers=bearer(made[Scope.PREDICT][0])) for _ in range(3)]
    assert [reply.status_code for reply in statuses] == [200, 200, 429]
    assert int(statuses[2].headers["retry-after"]) >= 1
    assert ask(app, "POST", "/predict", json=ROW, headers=bearer(made[Scope.ADMIN][0])).status_code == 200
