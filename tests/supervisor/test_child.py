import signal

import pytest

from evergreen.supervisor.child import STEADY_SECONDS, Child
from evergreen.supervisor.part import Part, State

DIES = "raise SystemExit(3)"


def live_and_die(child, launch, now):
    """Start what is due, wait for its end, and let the child notice."""
    child.step(now, set(), launch.spawn)
    assert child.state is State.STARTING
    child.process.wait()
    child.step(now, set(), launch.spawn)


def test_what_dies_is_started_again_after_longer_and_longer_pauses(part, launch):
    child, now = Child(part("mayfly", DIES)), 0.0
    for pause in (1, 2, 4, 8):
        live_and_die(child, launch, now)
        assert (child.state, child.note) == (State.RESTARTING, f"ended with code 3, again in {pause} s")
        child.step(now + pause - 0.01, set(), launch.spawn)
        assert child.process is None
        now += pause
    assert child.deaths == 4


def test_who_has_lived_for_a_while_is_started_again_at_once(part, launch):
    child = Child(part("mayfly"))
    child.deaths = 6
    child.step(0.0, set(), launch.spawn)
    child.process.kill()
    child.process.wait()
    child.step(STEADY_SECONDS, set(), launch.spawn)
    assert (child.deaths, child.note) == (1, "killed by SIGKILL, again in 1 s")


def test_a_part_starts_after_the_ones_it_needs(part, launch):
    child = Child(part("worker", after=("prefect", "deploy")))
    child.step(0.0, {"prefect"}, launch.spawn)
    assert (child.state, child.process) == (State.WAITING, None)
    child.step(1.0, {"prefect", "deploy", "other"}, launch.spawn)
    assert child.state is State.STARTING
    assert child.pid is not None


@pytest.mark.parametrize(("code", "state"), [("", State.DONE), (DIES, State.FAILED)])
def test_a_job_is_done_once_however_it_ends(part, launch, code, state):
    child = Child(part("deploy", code, once=True))
    live_and_die(child, launch, 0.0)
    child.step(1000.0, set(), launch.spawn)
    assert (child.state, child.process, child.was_ready) == (state, None, True)


def test_a_part_is_up_when_it_answers_and_silent_when_it_stops_to(part, launch):
    answers = [False, True, False, True]
    child = Child(part("prefect", answers=lambda: answers.pop(0)))
    states = []
    for now in range(0, 50, 10):
        child.step(float(now), set(), launch.spawn)
        states.append(child.state)
    assert states == [State.STARTING, State.STARTING, State.UP, State.SILENT, State.UP]
    assert child.since == 40.0


def test_a_part_that_cannot_be_asked_is_up_when_it_has_lived_for_a_moment(part, launch):
    child = Child(part("tend"))
    states = []
    for now in (0.0, 1.0, 4.0):
        child.step(now, set(), launch.spawn)
        states.append(child.state)
    assert states == [State.STARTING, State.STARTING, State.UP]


def test_a_server_of_somebody_else_is_asked_and_never_started(launch):
    def no_spawn(part):
        raise AssertionError("started")

    child = Child(Part("prefect", address="http://prefect:4200", answers=lambda: True))
    child.step(0.0, set(), no_spawn)
    child.step(10.0, set(), no_spawn)
    assert (child.state, child.pid) == (State.UP, None)


def test_what_a_dead_part_has_left_in_its_group_is_gone_before_it_starts_again(part, launch, living, until):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).wait()"
    child = Child(part("mlflow", code))
    child.step(0.0, set(), launch.spawn)
    until(lambda: len(living()) == 2)
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
    child.step(1.0, set(), launch.spawn)
    until(lambda: not living())
