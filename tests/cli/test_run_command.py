"""`evergreen run` in a process of its own: what a person sees when it works, when it cannot, and when they stop it."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import psutil
import pytest

from evergreen.orchestrator.api import PrefectApi
from evergreen.store.turn import take_turn
from evergreen.supervisor.state import UpState, write_state

pytestmark = pytest.mark.slow


def places(project):
    return {"EVERGREEN_HOME": str(project.settings.home), "EVERGREEN_CONFIGS": str(project.settings.configs)}


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("MLFLOW_TRACKING_URI", "http"), ("EVERGREEN_STORE_URL", "postgresql")],
    ids=["mlflow", "store"],
)
def test_a_server_that_is_down_is_one_message(anchored, process, orchestrator, closed_port, name, scheme):
    url = f"{scheme}://eva:s3cret@127.0.0.1:{closed_port}/evergreen"
    before = anchored.files("work", "snapshots", "artifacts", "reports")
    answer = process(
        "run", "tiny", "--as-of", "2026-04-01", PREFECT_API_URL=orchestrator, **places(anchored), **{name: url}
    )
    assert answer.code == 1
    (message,) = answer.err.strip().splitlines()
    assert message.startswith("evergreen: ")
    assert "does not answer" in message
    assert "eva:***@" in message
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text
    assert anchored.files("work", "snapshots", "artifacts", "reports") == before
    assert anchored.decisions() == []
    assert anchored.mlflow_runs() == []


def test_a_table_that_is_gone_is_one_message(anchored, process, orchestrator):
    anchored.table.unlink()
    answer = process("run", "tiny", PREFECT_API_URL=orchestrator, **places(anchored))
    assert answer.code == 2
    (message,) = answer.err.strip().splitlines()
    assert "table.csv: there is no such file" in message
    assert "Traceback" not in answer.text
    assert anchored.decisions() == []


def test_a_run_that_meets_another_says_so_and_is_no_failure(anchored, process, orchestrator):
    with take_turn(anchored.settings.store_url, "tiny", "run 4711", datetime.now(UTC)):
        answer = process("run", "tiny", "--as-of", "2026-04-01", PREFECT_API_URL=orchestrator, **places(anchored))
    assert answer.code == 0, answer.err
    assert "SKIP" in answer.out
    assert "run 4711" in answer.text
    assert "report.html" not in answer.out
    assert anchored.decisions() == ["SKIP"]


@pytest.fixture
def up(anchored, orchestrator):
    """`evergreen up` as far as others see it: this process, and a server that answers."""
    pages = orchestrator.removesuffix("/api")
    write_state(anchored.settings.home, UpState(os.getpid(), orchestrator, pages, None, datetime.now(UTC)))
    return pages


def test_while_everything_is_up_a_run_goes_to_its_server(anchored, process, up):
    anchored.change(schema__rows={"at_least": 100000})
    answer = process("run", "tiny", "--as-of", "2026-04-01", **places(anchored))
    assert answer.code == 0, answer.err
    assert up in answer.out
    assert not (anchored.settings.home / "prefect" / "server.log").exists(), "no other server was started"
    (entry,) = anchored.ledger.entries("tiny")
    run = PrefectApi(f"{up}/api").flow_run(entry.flow_run)
    assert run.name == "tiny-manual: HOLD"


def test_a_strangers_table_is_a_champion_in_three_commands(project, process, evergreen, orchestrator, shopper_table):
    table = shopper_table().assign(visitor=lambda frame: [f"V{n:05}" for n in range(len(frame))])
    table["spent"] = (
        table["spent"].map(lambda value: f"{value:.2f}".replace(".", ",")).where(np.arange(len(table)) % 50 > 0, "")
    )
    table.to_csv(project.folder / "export.csv", index=False, sep=";")
    data = ["--data", project.folder / "export.csv", "--target", "leaves", "--time", "at"]
    assert evergreen("init", "stranger", *data).code == 0
    assert evergreen("check", "stranger", "--as-of", "2026-05-25").code == 0
    answer = process("run", "stranger", "--as-of", "2026-05-25", PREFECT_API_URL=orchestrator, **places(project))
    assert answer.code == 0, answer.err
    assert "PROMOTE" in answer.out
    for shown in ("open", "load", "validate", "trial", "evaluate", "smoke test", "promote", "against_champion"):
        assert shown in answer.out, shown
    assert "report.html" in answer.out
    assert "mlflow ui" in answer.out
    assert project.registry.champion_version("stranger") == 1
    assert "1" in evergreen("status").text


SLOW = """
import time
from sklearn.linear_model import LogisticRegression


class Slow(LogisticRegression):
    def fit(self, X, y):
        time.sleep(0.4)
        return super().fit(X, y)
"""


@pytest.fixture
def heeded_ctrl_c() -> Iterator[None]:
    """What a shell starts in its background ignores Ctrl-C and hands that down; these children shall not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_in_training_stops_at_once_and_the_next_run_goes_on(anchored, command, process):
    (anchored.folder / "slow_estimator.py").write_text(SLOW)
    candidate = {"kind": "custom", "estimator": "slow_estimator:Slow", "grid": {"C": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}
    anchored.change(training__search={"workers": 1}, training__candidates=[candidate])
    environment = {**places(anchored), "PYTHONPATH": str(anchored.folder), "PYTHONUNBUFFERED": "1"}
    line, options = command("run", "tiny", "--as-of", "2026-04-01", **environment)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, **options, **pipes, start_new_session=True) as running:
        seen = [next(text for text in running.stdout if " trial " in text) for _ in range(2)]
        # Prefect's temporary server among them.
        family = psutil.Process(running.pid).children(recursive=True)
        # A terminal's Ctrl-C reaches every process of the command.
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert family
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert err.strip().splitlines()[-1] == "evergreen: stopped; the next run continues from what is finished"
    assert "Traceback" not in out + err
    assert [run.info.status for run in anchored.mlflow_runs()] == ["KILLED"]
    assert anchored.decisions() == []
    assert anchored.champion() is None
    leftovers = [name for name in anchored.files("work", "snapshots") if name.rpartition("/")[2].startswith(".")]
    assert leftovers == [], "files are whole or not there"
    finished = [name for name in anchored.files("work") if "/trial-" in name]
    assert len(seen) <= len(finished) < 6

    answer = process("run", "tiny", "--as-of", "2026-04-01", **environment)
    assert answer.code == 0, answer.err
    assert answer.out.count("found from before") >= len(finished)
    assert "PROMOTE" in answer.out
    assert anchored.champion() == 1
