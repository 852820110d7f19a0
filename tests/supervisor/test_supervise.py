import os
import signal
import subprocess
import sys
import textwrap

import pytest

from evergreen.errors import UnavailableError
from evergreen.supervisor.logs import START
from evergreen.supervisor.part import Part, State
from evergreen.supervisor.supervise import Haste

WRITES_WHEN_TOLD = """
import signal, sys, time
def close(*_):
    with open("ends", "a") as file:
        file.write(sys.argv[1] + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, close)
open("started-" + sys.argv[1], "w")
time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
open("deaf", "w")
time.sleep(600)
"""
# As Prefect's worker: its runs have sessions of their own, and it kills them when it is told to end.
WORKER = """
import os, signal, subprocess, sys, time
run = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1], "run"],
    env={**os.environ, "PREFECT__FLOW_RUN_ID": "run-1"}, start_new_session=True,
)
def close(*_):
    run.kill()
    sys.exit()
signal.signal(signal.SIGTERM, close)
time.sleep(600)
"""
PATIENT = Haste(grace_seconds=60)


def run_until(supervisor, until, question):
    def looked():
        supervisor.step()
        return question()

    return until(looked)


def test_parts_are_stopped_from_the_last_to_the_first(part, supervise, tmp_path, until):
    names = ("prefect", "mlflow", "tend", "worker")
    supervisor = supervise(*(part(name, WRITES_WHEN_TOLD, name) for name in names))
    run_until(supervisor, until, lambda: all((tmp_path / f"started-{name}").exists() for name in names))
    supervisor.stop(PATIENT, print, print)
    assert (tmp_path / "ends").read_text().split() == ["worker", "tend", "mlflow", "prefect"]
    assert [state for name, state in supervisor.told if name == "tend"][-2:] == ["stopping", "stopped"]


def test_nothing_survives_a_stop_not_even_who_is_deaf_or_has_left_its_session(part, supervise, tmp_path, living, until):
    leaves = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "time.sleep(600)"
    )
    supervisor = supervise(part("deaf", DEAF, patience_seconds=0.2), part("leaves", leaves))
    run_until(supervisor, until, lambda: (tmp_path / "deaf").exists() and len(living()) == 3)
    supervisor.stop(PATIENT, print, print)
    assert living() == []


def test_a_run_closes_before_its_worker_is_stopped(part, supervise, tmp_path, until):
    supervisor, said, settled = supervise(part("worker", WORKER, WRITES_WHEN_TOLD, runs_flows=True)), [], []
    run_until(supervisor, until, (tmp_path / "started-run").exists)
    supervisor.stop(PATIENT, said.append, settled.append)
    assert (tmp_path / "ends").read_text() == "run\n"
    assert said[-1] == "flow runs have closed"
    assert settled == [{"run-1"}]


def test_a_run_whose_worker_is_dead_just_now_can_close_too(part, supervise, tmp_path, until):
    supervisor, settled = supervise(part("worker", WORKER, WRITES_WHEN_TOLD, runs_flows=True)), []
    run_until(supervisor, until, (tmp_path / "started-run").exists)
    worker = supervisor.children[0]
    worker.process.kill()
    worker.process.wait()
    supervisor.step()
    supervisor.stop(PATIENT, print, settled.append)
    assert (tmp_path / "ends").read_text() == "run\n"
    assert settled == [{"run-1"}]


@pytest.mark.parametrize(("grace", "hurried"), [(0.2, False), (3600.0, True)], ids=["grace is over", "hurried"])
def test_a_run_that_does_not_close_is_killed(part, supervise, tmp_path, living, until, grace, hurried):
    supervisor, said = supervise(part("worker", WORKER, DEAF, runs_flows=True)), []
    run_until(supervisor, until, (tmp_path / "deaf").exists)
    supervisor.stop(Haste(grace, lambda: hurried), said.append, print)
    assert living() == []
    assert said[-1] == "flow runs were killed"


def test_all_is_ready_when_every_part_was_up_or_done(part, supervise, until):
    supervisor = supervise(part("job", "", once=True), part("server", answers=lambda: True, after=("job",)))
    assert not supervisor.ready
    run_until(supervisor, until, lambda: supervisor.ready)
    assert supervisor.told == [("job", "starting"), ("job", "done"), ("server", "starting"), ("server", "up")]
    supervisor.stop(PATIENT, print, print)


def test_a_part_that_does_not_get_up_is_complained_about_with_the_end_of_its_log(part, supervise, tmp_path, until):
    now = [0.0]
    code = "for line in range(100): print('line', line, flush=True)\nraise SystemExit('no such database')"
    supervisor = supervise(part("mlflow", code, answers=bool), clock=lambda: now[0])

    def dead_often():
        now[0] += 5
        return supervisor.children[0].deaths >= 3

    run_until(supervisor, until, dead_often)
    with pytest.raises(UnavailableError) as complaint:
        supervisor.require_start(600)
    text = str(complaint.value)
    assert text.startswith(f"mlflow does not start: ended with code 1; the end of {tmp_path / 'logs' / 'mlflow.log'}:")
    assert text.endswith("  no such database")
    assert "line 99" in text
    assert "line 10\n" not in text


def test_a_part_that_never_answers_is_complained_about_when_the_time_is_over(part, supervise):
    now = [0.0]
    slow = supervise(part("prefect", answers=lambda: False), clock=lambda: now[0])
    slow.step()
    slow.require_start(60)
    now[0] = 61
    with pytest.raises(UnavailableError, match="prefect does not start: no answer within 60 s"):
        slow.require_start(60)
    slow.stop(PATIENT, print, print)


def test_a_server_of_somebody_else_that_is_down_is_named(supervise):
    now = [0.0]
    supervisor = supervise(Part("prefect", address="http://prefect:4200", answers=bool), clock=lambda: now[0])
    supervisor.step()
    now[0] = 61
    with pytest.raises(UnavailableError, match="prefect at http://prefect:4200 does not answer"):
        supervisor.require_start(60)


def test_a_vital_job_that_fails_stops_the_start_and_another_one_does_not(part, supervise, until):
    for vital in (False, True):
        job = part("job", "raise SystemExit('broken')", once=True, vital=vital)
        supervisor = supervise(job, part("next", "", once=True, after=("job",)))
        run_until(supervisor, until, lambda job=supervisor.children[0]: job.state is State.FAILED)
        assert (supervisor.children[1].state is State.WAITING) is vital
        if vital:
            with pytest.raises(UnavailableError, match="broken"):
                supervisor.require_start(60)
        else:
            supervisor.require_start(60)


SUPERVISOR = """
import os, sys, time
from pathlib import Path
from evergreen.supervisor.launch import Launch
from evergreen.supervisor.logs import START
from evergreen.supervisor.part import Part
from evergreen.supervisor.supervise import Supervisor
folder, mark, worker, run = Path(sys.argv[1]), *sys.argv[2:]
parts = (
    Part("server", (sys.executable, "-c", "import time; time.sleep(600)")),
    Part("worker", (sys.executable, "-c", worker, run), runs_flows=True),
)
launch = Launch(folder, folder / "logs", dict(os.environ), mark)
supervisor = Supervisor(parts, launch, time.monotonic, time.sleep, lambda child: None)
while True:
    supervisor.step()
    time.sleep(0.1)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_nothing_survives_a_supervisor_that_dies(launch, living, tmp_path, until, number):
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), launch.mark, WORKER, WRITES_WHEN_TOLD]
    supervisor = subprocess.Popen(command)
    until(lambda: (tmp_path / "started-run").exists() and len(living()) == 3)
    supervisor.send_signal(number)
    supervisor.wait()
    until(lambda: not living())
    assert (tmp_path / "ends").read_text() == "run\n", "the run could close"


def test_a_guard_that_is_killed_is_replaced(part, supervise):
    supervisor = supervise(part("server"))
    supervisor.step()
    first = supervisor._guard
    first.kill()
    first.wait()
    supervisor.step()
    assert supervisor._guard.pid != first.pid
    assert supervisor._guard.poll() is None
    supervisor.stop(PATIENT, print, print)
    assert supervisor._guard is None


def test_ctrl_c_of_the_terminal_does_not_reach_children(part, launch, until):
    process = launch.spawn(part("server"))
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    process.kill()
    process.wait()


def test_what_children_say_is_in_their_logs_and_secrets_are_only_inherited(part, launch, monkeypatch):
    code = textwrap.dedent("""
        import os, sys
        print("hello", len(os.environ["TOKEN"]))
        print("problem", file=sys.stderr)
    """)
    talks = part("talks", code, environment={"TOKEN": "s3cret"})
    assert launch.spawn(talks).wait() == 0
    assert launch.spawn(talks).wait() == 0
    said = launch.log(talks).read_text().split(START)
    assert [sorted(part.split()) for part in said] == [[], *[["6", "hello", "problem"]] * 2]
