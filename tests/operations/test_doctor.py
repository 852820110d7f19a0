"""What the doctor says of a set-up, rule by rule, and what it leaves alone."""

import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.operations.doctor import deployed, places, project, records, served, server, tracking, versions, work
from evergreen.operations.doctor.clock import Skew, judge_clock, measure
from evergreen.operations.doctor.examine import PARTS, Part, examine, grouped
from evergreen.operations.doctor.finding import Finding, Health, anything_wrong
from evergreen.operations.doctor.machine import DISK, judge_disk
from evergreen.operations.doctor.patient import Bounds, Patient
from evergreen.orchestrator.answers import Automation, Deployment, Pool, Schedule, Worker
from evergreen.settings import Settings
from evergreen.spec import ModelSpec, load_spec
from evergreen.store.entry import Crown, LedgerEntry
from evergreen.store.facts import Fact, FactKind
from evergreen.store.outbox import Outbox
from evergreen.store.tables import HEAD
from evergreen.supervisor.state import UpState, up_folder, write_state

OK, WRONG, UNKNOWN = Health.OK, Health.WRONG, Health.UNKNOWN
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def patient_of(folder: Path, **environ: str) -> Patient:
    addresses = {"EVERGREEN_HOME": str(folder / "home"), "EVERGREEN_CONFIGS": str(folder / "configs"), **environ}
    return Patient(Settings.from_environment(addresses), environ, lambda: datetime.now(UTC), ports={})


def outcomes(patient: Patient, **options: float) -> dict[str, Health]:
    return {finding.name: finding.outcome for finding in examine(patient, **options)}


def test_nothing_is_wrong_with_a_home_that_has_never_been_used_and_it_is_not_created(tmp_path):
    findings = [finding for finding in examine(patient_of(tmp_path)) if finding.name != "packages"]
    assert [finding for finding in findings if finding.outcome is not OK] == []
    assert list(tmp_path.iterdir()) == []


def test_looking_changes_nothing(crowned):
    before = {path: path.read_bytes() for path in crowned.folder.rglob("*") if path.is_file()}
    patient = Patient(crowned.settings, {}, lambda: datetime.now(UTC))
    assert WRONG not in {f.outcome for f in examine(patient) if f.name not in ("packages", "ports")}
    assert {path: path.read_bytes() for path in crowned.folder.rglob("*") if path.is_file()} == before


def test_every_finding_is_made_once_and_in_order(tmp_path):
    names = [name for part in PARTS for name in part.names]
    found = examine(patient_of(tmp_path))
    assert [finding.name for finding in found] == names
    assert len(set(names)) == len(names)
    assert [finding for group in grouped(found).values() for finding in group] == list(found)


@pytest.fixture
def silent():
    """An address where somebody takes calls and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_servers_that_take_calls_and_say_nothing_are_wrong_and_what_is_behind_them_unknown(silent, tmp_path):
    environ = {
        "PREFECT_API_URL": f"http://{silent}/api",
        "MLFLOW_TRACKING_URI": f"http://{silent}",
        "EVERGREEN_STORE_URL": f"postgresql://eva:s3cret@{silent}/evergreen",
    }
    found = outcomes(patient_of(tmp_path, **environ), seconds=20)
    assert {name for name, outcome in found.items() if outcome is WRONG} - {"packages"} == {
        "prefect server",
        "mlflow",
        "store",
    }
    behind = {*server.BEHIND_SERVER, *records.BEHIND_STORE, "mlflow schema", "champions", "artifact store"}
    behind |= {"messages", "monitoring"}
    assert {name for name, outcome in found.items() if outcome is UNKNOWN} == behind


def test_what_has_not_answered_by_the_end_is_said_not_to(silent, tmp_path):
    findings = examine(patient_of(tmp_path, PREFECT_API_URL=f"http://{silent}/api"), seconds=0.1)
    found = {finding.name: finding for finding in findings}
    assert (found["prefect server"].outcome, found["worker"].outcome) == (WRONG, UNKNOWN)
    assert found["worker"].what == "no answer within 0.1 s"


@pytest.mark.parametrize("password", ["PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"])
def test_no_secret_is_repeated(silent, tmp_path, password):
    environ = {
        "PREFECT_API_URL": "http://eva:s3cret@127.0.0.1:9/api",
        password: "eva:0ther",
        "MLFLOW_TRACKING_URI": "http://eva:s3cret@127.0.0.1:9",
        "EVERGREEN_STORE_URL": "postgresql://eva:s3cret@127.0.0.1:9/evergreen",
        "EVERGREEN_SNAPSHOTS": "ftp://eva:s3cret@127.0.0.1:9/snapshots",
    }
    told = str(examine(patient_of(tmp_path, **environ), seconds=20))
    assert "127.0.0.1:9" in told
    assert [secret for secret in ("s3cret", "0ther") if secret in told] == []


def test_a_supervisor_that_died_is_wrong_and_one_that_never_was_is_not(tmp_path):
    patient = patient_of(tmp_path)
    assert outcomes(patient)["prefect server"] is OK
    folder = up_folder(patient.settings.home)
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"pid": 1, "born": "long ago"}))
    (found,) = [finding for finding in examine(patient) if finding.outcome is WRONG and finding.name != "packages"]
    assert (found.name, found.do) == ("prefect server", "evergreen up")


@pytest.mark.parametrize(
    ("found", "outcome", "do"),
    [(None, OK, ""), (HEAD, OK, ""), ("0001", WRONG, "back the store up"), ("9999", WRONG, "install that version")],
)
def test_a_store_is_older_newer_or_of_this_version(found, outcome, do):
    finding = records.judge_migrations(found)
    assert finding.outcome is outcome
    assert do in finding.do


def test_a_store_that_is_no_database_is_wrong(tmp_path):
    patient = patient_of(tmp_path)
    patient.settings.home.mkdir()
    (patient.settings.home / "evergreen.db").write_text("not a database, but long enough to be looked at as one" * 99)
    assert outcomes(patient)["store"] is WRONG


def test_a_ledger_whose_row_was_changed_is_wrong(crowned):
    with sqlite3.connect(crowned.settings.store_file) as connection:
        connection.execute("DROP TRIGGER decisions_no_update")
        connection.execute("UPDATE decisions SET decided_by = 'somebody else'")
    connection.close()
    patient = Patient(crowned.settings, {}, lambda: datetime.now(UTC), ports={})
    (found,) = [finding for finding in examine(patient) if finding.outcome is WRONG and finding.name != "packages"]
    assert found.name == "ledger"


def test_a_store_on_a_server_has_a_clock(cluster, tmp_path):
    from evergreen.store.ledger import Ledger

    url = cluster.create_database()
    patient = patient_of(tmp_path, EVERGREEN_STORE_URL=url)
    found = {finding.name: finding for finding in examine(patient)}
    assert {found[name].outcome for name in ("store", *records.BEHIND_STORE)} == {OK}
    assert "empty database" in found["migrations"].what
    Ledger(url).prepare()
    late = replace(patient, clock=lambda: datetime.now(UTC) - timedelta(minutes=1))
    found = {finding.name: finding for finding in examine(late)}
    assert (found["store clock"].outcome, found["migrations"].what) == (WRONG, f"at {HEAD}")
    assert "60 s ahead" in found["store clock"].what


@pytest.mark.parametrize(
    ("ahead", "uncertain", "outcome"),
    [(0, 0, OK), (5, 0, OK), (5.1, 0, WRONG), (-5.1, 0, WRONG), (7, 2, OK), (-7.1, 2, WRONG)],
)
def test_clocks_that_are_certainly_too_far_apart_are_wrong(ahead, uncertain, outcome):
    skew = Skew(timedelta(seconds=ahead), timedelta(seconds=uncertain))
    assert judge_clock("clock", skew, Bounds().skew).outcome is outcome


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.999])
def test_a_clock_that_tells_whole_seconds_is_not_taken_for_slow(fraction):
    now = NOON + timedelta(seconds=fraction)
    skew = measure(lambda: now.replace(microsecond=0), lambda: now)
    assert abs(skew.ahead) <= skew.uncertain


@pytest.mark.parametrize(
    ("free", "total", "outcome"),
    [(10**9, 10**9, OK), (10**9 - 1, 10**9, WRONG), (5 * 10**9, 100 * 10**9, OK), (4 * 10**9, 100 * 10**9, WRONG)],
)
def test_a_disk_has_room_by_size_and_by_share(free, total, outcome, tmp_path):
    assert judge_disk(free, total, tmp_path, Bounds()).outcome is outcome


@pytest.mark.parametrize(
    ("requires", "installed", "outcome"),
    [
        ("pandas<3.1", {"pandas": "3.0.9"}, OK),
        ("pandas<3.1", {"pandas": "3.1.0"}, WRONG),
        ("pandas<3.1", {"pandas": None}, WRONG),
        ("ray<2; extra == 'ray'", {"ray": None}, OK),
        ("ray<2; extra == 'ray'", {"ray": "2.0"}, WRONG),
    ],
)
def test_what_is_installed_is_within_its_range(requires, installed, outcome):
    assert versions.judge_packages([requires], installed).outcome is outcome


@pytest.mark.parametrize(
    ("pool", "outcome", "do"),
    [
        (None, WRONG, "evergreen deploy"),
        (Pool("evergreen", "process", True, "PAUSED"), WRONG, "resume"),
        (Pool("evergreen", "process", False, "NOT_READY"), OK, ""),
    ],
)
def test_a_pool_is_there_and_not_paused(pool, outcome, do):
    finding = work.judge_pools({"evergreen": pool})
    assert finding.outcome is outcome
    assert do in finding.do


def test_every_pool_has_a_worker_that_lives():
    alive, dead = Worker("bee", "ONLINE", NOON), Worker("fly", "OFFLINE", NOON)
    assert work.judge_workers({"process": [dead, alive]}).outcome is OK
    assert work.judge_workers({"process": [alive], "kubernetes": [dead]}).outcome is WRONG
    assert "none was ever there" in work.judge_workers({"process": []}).what


@pytest.fixture(scope="module")
def tiny(prepared_project) -> ModelSpec:
    return load_spec(prepared_project.spec_file)


def deployment(name: str, cron: str = "0 6 * * 1", active: bool = True, paused: bool = False) -> Deployment:
    schedule = Schedule("1", "weekly", active, cron, "UTC", {})
    return Deployment("1", name, paused, {}, (schedule,), "READY", "evergreen", ("evergreen",))


NAMES = ("approve/approve", "monitor/tiny", "retrain/tiny", "rollback/tiny", "score/tiny")


@pytest.mark.parametrize(
    ("names", "outcome", "what"),
    [
        (NAMES, OK, "5"),
        (NAMES[1:], WRONG, "missing: approve/approve"),
        ((*NAMES, "retrain/gone"), WRONG, "without a spec: retrain/gone"),
        ((), WRONG, "missing: "),
    ],
)
def test_what_is_deployed_is_what_the_specs_say(tiny, names, outcome, what):
    finding = deployed.judge_deployments(
        [deployment(name) for name in names], deployed.wanted_deployments([tiny]), complete=True
    )
    assert finding.outcome is outcome
    assert what in finding.what


def test_what_an_unreadable_spec_is_for_is_not_called_surplus(tiny):
    there = [deployment(name) for name in (*NAMES, "retrain/unreadable")]
    assert deployed.judge_deployments(there, list(NAMES), complete=False).outcome is OK


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (deployment("retrain/tiny"), "1 active"),
        (deployment("retrain/tiny", active=False), "paused"),
        (deployment("retrain/tiny", paused=True), "paused"),
        (deployment("retrain/tiny", cron="0 7 * * 1"), "not at the time"),
    ],
)
def test_a_schedule_is_active_at_the_time_that_the_spec_says(tiny, one, what):
    finding = deployed.judge_schedules([one], [tiny])
    assert finding.outcome is (OK if what == "1 active" else WRONG)
    assert what in finding.what


def test_a_schedule_that_the_spec_pauses_may_rest(tiny):
    resting = tiny.model_copy(update={"schedule": tiny.schedule.model_copy(update={"active": False})})
    assert deployed.judge_schedules([deployment("retrain/tiny", active=False)], [resting]).outcome is OK


@pytest.mark.parametrize(
    ("enabled", "what"),
    [(True, "2 on"), (False, "switched off"), (None, "missing")],
)
def test_every_automation_is_there_and_on(tiny, enabled, what):
    drift, performance = "evergreen: drift retrains tiny", "evergreen: performance retrains tiny"
    there = [Automation("2", performance, True, {})]
    there += [] if enabled is None else [Automation("1", drift, enabled, {})]
    finding = deployed.judge_automations(there, [tiny], complete=True)
    assert finding.outcome is (OK if enabled else WRONG)
    assert what in finding.what


def test_every_variable_that_a_spec_names_is_set(prepared_project, tmp_path):
    text = prepared_project.spec_file.read_text() + "notify: [{kind: webhook, url_env: ALERT_URL}]\n"
    (tmp_path / "tiny.yaml").write_text(text)
    specs, problems = project.readable_specs(tmp_path)
    assert problems == ()
    assert project.judge_notifications(specs, {}).outcome is WRONG
    assert project.judge_notifications(specs, {"ALERT_URL": "https://there"}).outcome is OK


def test_two_specs_that_keep_one_model_are_a_problem(prepared_project, tmp_path):
    for name in ("one", "other"):
        (tmp_path / f"{name}.yaml").write_text(prepared_project.spec_file.read_text())
    assert project.readable_specs(tmp_path)[1] == ("tiny is kept by 2 specs",)


def test_a_spec_that_cannot_be_read_is_named_with_its_key(project):
    project.change(colour="green")
    patient = Patient(project.settings, {}, lambda: datetime.now(UTC), ports={})
    (found,) = [finding for finding in examine(patient) if finding.outcome is WRONG and finding.name != "packages"]
    assert found.name == "specs"
    assert "colour: unknown key" in found.what


@pytest.mark.parametrize(("found", "newest", "outcome"), [(None, "b", OK), ("b", "b", OK), ("a", "b", WRONG)])
def test_mlflows_database_is_of_the_installed_version(found, newest, outcome):
    assert tracking.judge_schema(found, newest).outcome is outcome


@pytest.mark.parametrize("root", ["memory://doctor/place", "{folder}"])
def test_a_place_is_tried_with_a_file_that_is_removed_again(root, tmp_path):
    import fsspec

    root = root.format(folder=tmp_path)
    assert places.try_place("snapshot store", root, "EVERGREEN_SNAPSHOTS").outcome is OK
    filesystem, inside = fsspec.core.url_to_fs(root)
    assert filesystem.find(inside) == []


def test_a_place_without_a_driver_is_wrong():
    finding = places.try_place("snapshot store", "nosuch://there", "EVERGREEN_SNAPSHOTS")
    assert finding.outcome is WRONG
    assert "EVERGREEN_SNAPSHOTS" in finding.do


def test_unknown_alone_is_not_wrong(tmp_path, monkeypatch):
    answered = threading.Event()
    silent = Part("this machine", (DISK,), lambda patient: iter([answered.wait()][:0]))
    monkeypatch.setattr("evergreen.operations.doctor.examine.PARTS", (silent,))
    findings = examine(patient_of(tmp_path), seconds=0)
    answered.set()
    assert [finding.outcome for finding in findings] == [UNKNOWN]
    assert not anything_wrong(tuple(f for f in findings if f.outcome is UNKNOWN))


def drift(model: str, at: datetime) -> Fact:
    return Fact(f"drift:{model}:{at.isoformat()}", FactKind.DRIFT, model, at)


@pytest.mark.parametrize(("age_minutes", "outcome"), [(30, OK), (90, WRONG)])
def test_a_message_that_waits_for_over_an_hour_is_wrong(project, age_minutes, outcome):
    project.change(notify=[{"kind": "webhook", "url_env": "ALERT_URL", "on": ["drift"]}])
    now = datetime.now(UTC)
    outbox, fact = Outbox(project.settings.store_url), drift("tiny", now - timedelta(minutes=age_minutes))
    outbox.put(fact)
    # One that failed, and is to be tried again tomorrow, waits as well.
    assert outbox.claim(fact, "webhook:ALERT_URL", now, timedelta(minutes=5))
    outbox.failed(fact, "webhook:ALERT_URL", now, "refused", now + timedelta(days=1))
    patient = Patient(project.settings, {"ALERT_URL": "http://127.0.0.1:9"}, lambda: now, ports={})
    found = {finding.name: finding for finding in examine(patient)}["messages"]
    assert found.outcome is outcome
    assert outcome is OK or "1 on webhook:ALERT_URL" in found.what


@pytest.mark.parametrize(("days", "outcome"), [(9, WRONG), (31, OK)])
def test_an_alert_waits_for_prefect_as_long_as_it_is_tried_for(project, days, outcome):
    now = datetime.now(UTC)
    Outbox(project.settings.store_url).put(drift("tiny", now - timedelta(days=days)))
    patient = Patient(project.settings, {"PREFECT_API_URL": "http://127.0.0.1:9/api"}, lambda: now, ports={})
    found = {finding.name: finding for finding in examine(patient)}["messages"]
    assert found.outcome is outcome
    assert outcome is OK or "1 on prefect" in found.what


def test_a_message_that_was_delivered_waits_no_more(project):
    project.change(notify=[{"kind": "webhook", "url_env": "ALERT_URL"}])
    now = datetime.now(UTC)
    outbox, fact = Outbox(project.settings.store_url), drift("tiny", now - timedelta(days=1))
    outbox.put(fact)
    outbox.delivered(fact, "webhook:ALERT_URL", now)
    patient = Patient(project.settings, {"ALERT_URL": "http://127.0.0.1:9"}, lambda: now, ports={})
    assert outcomes(patient)["messages"] is OK


@pytest.mark.parametrize(
    ("children", "outcome"), [({"tend": os.getpid()}, OK), ({"tend": 2**22 + 1}, WRONG), ({}, WRONG)]
)
def test_tend_lives_where_everything_runs_on_one_machine(tmp_path, children, outcome):
    patient = patient_of(tmp_path)
    state = UpState(os.getpid(), "http://127.0.0.1:9/api", "http://127.0.0.1:9", None, NOON, children)
    write_state(patient.settings.home, state)
    assert outcomes(patient)["tend"] is outcome


def crowned_at(moment: datetime, version: int = 2) -> dict[str, Crown]:
    return {"churn": Crown(7, "churn", version, moment)}


def says(version: int | None, **more: object) -> dict[str, object]:
    champion = None if version is None else {"version": version}
    return {"status": "ready", "models": {"churn": {"champion": champion, **more}}}


@pytest.mark.parametrize(
    ("said", "crowns", "outcome", "what"),
    [
        (says(2), crowned_at(NOON - timedelta(days=1)), OK, "version 2 of churn"),
        (says(1), crowned_at(NOON - timedelta(seconds=60)), OK, "version 1 of churn"),
        (
            says(1),
            crowned_at(NOON - timedelta(seconds=61)),
            WRONG,
            "version 1 answers, and version 2 is champion since",
        ),
        (says(1, problem="it is broken"), crowned_at(NOON - timedelta(days=1)), WRONG, "(it is broken)"),
        (says(None), crowned_at(NOON - timedelta(days=1)), WRONG, "nobody answers"),
        ({"models": {}}, crowned_at(NOON - timedelta(days=1)), WRONG, "nobody answers"),
        ({"models": {}}, {}, OK, "waits for a first champion"),
        ({"status": "ready"}, crowned_at(NOON - timedelta(days=1)), OK, "a key would be told"),
        ({**says(2), "capture": {"problem": "no room"}}, {}, WRONG, "predictions cannot be kept: no room"),
    ],
)
def test_serving_answers_with_the_champion_or_is_behind(said, crowns, outcome, what):
    finding = served.judge_serving(said, crowns, NOON, Bounds().behind)
    assert (finding.name, finding.outcome) == ("serving", outcome)
    assert what in finding.what


@contextmanager
def says_ready(body: dict[str, object]) -> Iterator[str]:
    """A server that answers /ready, as one that serves does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ready" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_serving_is_looked_at_where_everything_runs_on_one_machine(crowned):
    def found(serving: str | None) -> Finding:
        state = UpState(os.getpid(), "http://127.0.0.1:9/api", "http://127.0.0.1:9", None, NOON, serving=serving)
        write_state(crowned.settings.home, state)
        patient = Patient(crowned.settings, {}, lambda: datetime.now(UTC) + timedelta(hours=1), ports={})
        (finding,) = served.look_at_serving(patient)
        return finding

    champion = {"tiny": {"champion": {"version": 1}}}
    with says_ready({"status": "ready", "models": champion}) as address:
        assert (found(address).outcome, found(address).what) == (OK, "version 1 of tiny")
    gone = found(address)
    assert (gone.outcome, gone.what.split(" (")[0]) == (WRONG, f"{address} does not answer")
    assert gone.do.endswith("serving.log")
    with says_ready({"status": "not ready", "models": {}}) as address:
        assert "tiny: nobody answers" in found(address).what
    assert (found(None).outcome, "--no-serve" in found(None).what) == (OK, True)


def test_serving_that_evergreen_up_does_not_run_is_told_and_not_wrong(tmp_path):
    (finding,) = served.look_at_serving(patient_of(tmp_path))
    assert (finding.outcome, finding.what) == (OK, "not run by evergreen up here")


def test_decisions_that_wait_for_a_person_are_named_and_not_wrong():
    entry = LedgerEntry("churn", DecisionKind.HOLD, ("unsure",), (), Reason.MANUAL, NOON, NOON, "eva", id=12)
    finding = records.judge_waiting((entry,))
    assert (finding.outcome, finding.do) == (OK, "evergreen approve 12, or reject")
    assert "12 (churn, since 2026-05-04)" in finding.what
