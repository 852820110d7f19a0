"""`evergreen alert` and `evergreen tend`, as people and supervisors start them."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evergreen.operations.tend import tend
from evergreen.orchestrator.automations import apply_automations, wanted_automations
from evergreen.orchestrator.names import retrain_deployment
from evergreen.store.facts import FactKind
from tests.servers import PrefectServer, bare_environment, free_port, prefect_server, wait_for

REPOSITORY = Path(__file__).parents[2]
SEEN = ("--share", "0.4", "--columns", "price, plan", "--window-end", "2026-11-16T06:10", "--severity", "critical")


@dataclass
class Terminal:
    """Commands in processes of their own, over one home."""

    home: object

    def start(self, *arguments, **environment):
        own = {"EVERGREEN_HOME": str(self.home.settings.home), "EVERGREEN_CONFIGS": str(self.home.settings.configs)}
        return subprocess.Popen(
            [sys.executable, "-m", "evergreen.cli.main", *arguments],
            env={**bare_environment(), **own, **environment, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **environment):
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err


@pytest.fixture
def terminal(home):
    return Terminal(home)


def test_an_alert_says_what_becomes_of_it(terminal, home):
    code, said = terminal.run("alert", "churn", *SEEN)
    assert code == 0
    assert "churn: drift in 40% of the inputs is noted" in said
    assert "no Prefect server is known; evergreen tend" in said
    payload = home.outbox.latest("churn", FactKind.DRIFT).payload
    assert payload["columns"] == ["price", "plan"]
    assert payload["severity"] == "critical"

    code, said = terminal.run("alert", "churn", *SEEN)
    assert code == 0
    assert "nothing is started: this window was reported before" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alert", "chrun", *SEEN), "did you mean churn?"),
        (("alert", "churn", "--share", "1.4", "--window-end", "2026-11-16"), "--share"),
        (("alert", "churn", "--share", "0.4", "--window-end", "yesterday"), "is no date"),
        (("alert", "churn", "--share", "0.4", "--window-end", "2999-11-16"), "2999-11-16 00:00 UTC has not come"),
        (("alert", "churn", "--share", "0.4"), "--window-end"),
        (("alert", "churn", *SEEN, "--window-start", "2026-11-17"), "before it starts"),
    ],
)
def test_a_mistake_in_an_alert_is_explained_and_nothing_is_noted(terminal, home, arguments, words):
    code, said = terminal.run(*arguments)
    assert code == 2
    assert words in " ".join(said.replace("│", " ").split())
    assert "Traceback" not in said
    assert home.outbox.latest("churn", FactKind.DRIFT) is None


def test_one_pass_says_that_there_was_nothing_to_do(terminal):
    assert terminal.run("tend") == (0, "nothing to do\n")


def test_tending_goes_on_until_it_is_told_to_stop_and_says_what_is_wrong_once(terminal, home, receiver):
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW"}, {"kind": "slack", "url_env": "NOBODY"}])
    process = terminal.start("tend", "--every", "1", CREW=receiver.url())
    first = process.stdout.readline()
    assert "slack:NOBODY has no address: NOBODY is not set" in first
    for number in (1, 2):
        home.fact(f"fact {number}", at=datetime.now(UTC))
        assert f"webhook:CREW is told churn rejected (fact {number})" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(receiver.taken) == 2


def test_ctrl_c_lets_the_pass_come_to_its_end(terminal, home, receiver):
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW"}])
    receiver.delay = 2
    home.fact("one", at=datetime.now(UTC))
    process = terminal.start("tend", "--every", "60", CREW=receiver.url())
    wait_for(lambda: receiver.taken, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "webhook:CREW is told churn rejected (one)" in out


def deploy(server: PrefectServer, home) -> dict[str, str]:
    """Deployments without a worker, by model, and the automations that ship."""
    flow = server.api.post("/flows/", name="retrain")
    for model in home.specs:
        server.api.post("/deployments/", name=model, flow_id=flow["id"], parameters={"model": model})
    deployed = {one.name: one for one in server.api.deployments()}
    assert list(apply_automations(server.api, wanted_automations(REPOSITORY, home.specs, deployed)))
    return {model: deployed[retrain_deployment(model)].id for model in home.specs}


@pytest.mark.slow
def test_an_alert_that_was_raised_while_the_server_was_down_starts_one_retraining_later(terminal, home, tmp_path):
    port = free_port()
    down = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": "eva:s3cret"}
    code, said = terminal.run("alert", "churn", *SEEN, **down)
    assert (code, "does not answer; evergreen tend" in said) == (0, True)
    code, said = terminal.run("tend", **down)
    assert (code, "alerts and dead runs wait" in said) == (0, True)
    # Another one is two days old by the time that a server is there.
    home.write("delay")
    old = datetime.now(UTC) - timedelta(days=2)
    home.fact("drift:delay:old", FactKind.DRIFT, old, "delay", share=0.7, columns=[], severity="warning")
    # And monitoring has seen that a third model answers worse.
    home.write("price")
    home.fact("performance:price:1", FactKind.PERFORMANCE, old, "price", reasons=["the loss is over its bound"])

    with prefect_server(tmp_path / "prefect", port=port) as server:
        ids = deploy(server, home)
        code, said = terminal.run("tend", **server.environment)
        assert code == 0
        assert "prefect is told churn drift" in said
        assert "prefect is told delay drift" in said
        for model, share in (("churn", 0.4), ("delay", 0.7)):
            [run] = wait_for(lambda of=ids[model]: server.api.flow_runs(deployment_ids=[of]), seconds=60)
            assert run.parameters["alert"]["share"] == share
            assert run.parameters["reason"] == "drift"
        [run] = wait_for(lambda: server.api.flow_runs(deployment_ids=[ids["price"]]), seconds=60)
        assert run.parameters == {"model": "price", "reason": "performance"}

        # Told again by somebody who died before he could say that he had: the server knows the event's id.
        fact = home.outbox.latest("churn", FactKind.DRIFT)
        home.outbox.put(fact)
        assert terminal.run("tend", **server.environment) == (0, "nothing to do\n")
        assert tend(home.settings, server.api, datetime.now(UTC), os.environ) == []
        assert len(server.api.flow_runs(deployment_ids=list(ids.values()))) == 3
