"""The Dockerfile without an engine: bases, locks, users, and that everything it copies is there and sent."""

import fnmatch
import re
import shlex

import pytest

from tests.deployments.shipped import DOCKERFILE, REPOSITORY, stages

STAGES = stages()
FINAL = ("prefect", "mlflow", "serving", "worker", "kubernetes-worker")
LINES = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ").splitlines()


def copied():
    """What each COPY takes from the project's folder, as a list of paths."""
    arguments = [shlex.split(line)[1:] for line in LINES if line.startswith("COPY ")]
    return [source for words in arguments if not words[0].startswith("--from=") for source in words[:-1]]


def test_every_image_stands_on_one_base_of_one_version():
    assert len({stage.image for stage in STAGES.values()}) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-\w+", STAGES["base"].image)


@pytest.mark.parametrize("name", FINAL)
def test_an_image_is_run_by_nobody_in_particular_and_says_how_it_is(name):
    stage = STAGES[name]
    assert stage.last("USER") == "10001:10001"
    assert stage.last("HEALTHCHECK")
    assert stage.command, "a command of our own, in the form that needs no shell"
    assert stage.env["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("name", FINAL)
def test_a_health_check_asks_the_port_that_the_command_serves(name):
    stage = STAGES[name]
    asked = re.search(r"http://127\.0\.0\.1:(\d+)/", stage.last("HEALTHCHECK"))[1]
    served = stage.command[stage.command.index("--port") + 1] if "--port" in stage.command else None
    from prefect.settings import PREFECT_WORKER_WEBSERVER_PORT

    assert asked == (served or str(PREFECT_WORKER_WEBSERVER_PORT.value()))
    assert served in (None, stage.last("EXPOSE"))


@pytest.mark.parametrize("name", ["worker", "kubernetes-worker"])
def test_a_worker_takes_no_more_runs_than_it_was_told(name):
    words = STAGES[name].command
    assert int(words[words.index("--limit") + 1]) >= 1


def test_packages_are_installed_from_the_lock_alone():
    installs = [line for line in LINES if re.search(r"\bpip\b.* install ", line)]
    assert len(installs) == 6
    for line in installs:
        assert "--no-deps" in line
        # Either locked by hashes, or our own wheel, with no index asked.
        assert "--require-hashes" in line or "--no-index" in line
        assert {
            Path for Path in re.findall(r"--requirement /(requirements/\S+)", line) if Path not in copied()
        } == set()


def test_what_serves_holds_numba_where_it_is_asked_for():
    (install,) = [line for line in LINES if "serve.txt" in line and "install" in line]
    assert "${NUMBA:+--requirement /requirements/numba.txt }" in install
    assert ("ARG", 'NUMBA=""') in STAGES["serving-packages"].steps


@pytest.mark.parametrize("worker", ["docker", "kubernetes"])
def test_the_lock_of_a_worker_adds_to_what_runs_and_moves_nothing(worker):
    names = [
        re.findall(r"(?m)^([\w.-]+)==", (REPOSITORY / f"requirements/{n}.txt").read_text()) for n in ("run", worker)
    ]
    assert set(names[0]) & set(names[1]) == set()
    assert f"prefect-{worker}" in names[1]


def test_what_serves_holds_neither_the_project_nor_what_trains():
    steps = STAGES["serving"].steps
    assert [text for word, text in steps if word == "COPY"] == ["--from=serving-packages /opt/evergreen /opt/evergreen"]
    assert [text for word, text in STAGES["serving-packages"].steps if word == "COPY"] == [
        "requirements/serve.txt requirements/numba.txt /requirements/"
    ]
    assert not [text for _, text in steps if re.search("run.txt|flows|configs", text)]


def test_what_serves_is_well_when_it_is_ready():
    assert "/ready" in STAGES["serving"].last("HEALTHCHECK")


def test_everything_that_is_copied_is_in_the_repository():
    assert [source for source in copied() if not (REPOSITORY / source).exists()] == []


def test_everything_that_is_copied_is_sent_to_the_builder_and_nothing_else():
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules if rule[0] == "!"]
    assert [s for s in copied() if not any(fnmatch.fnmatch(s, rule) or s.startswith(f"{rule}/") for rule in kept)] == []
    unused = [rule for rule in kept if not any(fnmatch.fnmatch(s, rule) or rule == s for s in copied())]
    assert unused == []


def test_the_project_is_where_runs_look_for_it():
    worker = STAGES["worker"]
    assert worker.last("WORKDIR") == worker.env["EVERGREEN_PROJECT"] == "/srv/evergreen"
    assert worker.env["EVERGREEN_CONFIGS"] == "/srv/evergreen/configs"
    python = re.search(r"python:(3\.\d+)", worker.image)[1]
    assert f"/lib/python{python}/site-packages/evergreen" in DOCKERFILE.read_text()
