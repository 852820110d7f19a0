"""Retrainings that died: found by the turn that they do not hold, tried once more, and told where that fails too.

The model's turn is freed by the operating system when its process dies. So a run that Prefect takes for running, and
that does not hold the turn, is dead, however its worker and its machine have ended. That is said only of runs that have
taken a turn in this store: a server may have runs of others, which take theirs elsewhere.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from evergreen.address import redacted, scrubbed
from evergreen.gate.decision import DecisionKind
from evergreen.orchestrator.api import FlowRun, PrefectApi, Refused
from evergreen.orchestrator.names import TAG
from evergreen.settings import Settings
from evergreen.store.facts import Fact, FactKind
from evergreen.store.outbox import Outbox, began_key
from evergreen.store.turn import holder

_LONGEST_MESSAGE = 500
_RETRAIN = "retrain/"
_ENDED = ("COMPLETED", "FAILED", "CRASHED")
_RETRY, _LEASE = "retry", timedelta(minutes=5)
_IDLE = {DecisionKind.SKIP.value, "dropped"}  # tags of runs that looked, or did not even look, and trained nothing
_OTHERS = 20  # runs among which there is one that took its turn, where the store is that of a deployment
_ADDRESS = re.compile(r"[\w+.-]+://[^\s'\"<>]+")
_SOMEBODY = "unknown"  # what the store says of a turn whose holder it cannot tell


@dataclass(frozen=True)
class Patience:
    """How long each thing may last before it is taken for what it looks like."""

    start: timedelta = timedelta(seconds=90)  # a run that started just now has not taken its turn yet
    end: timedelta = timedelta(seconds=10)  # and one that has given it back is about to end
    # Between being handed to a worker and running. A worker on Kubernetes gives a pod half of it and reports it then.
    pending: timedelta = timedelta(minutes=20)
    dry_run: timedelta = timedelta(days=1)  # takes no turn, so only its age says anything
    # A worker reports a dead process seconds after the run itself was reported: a retry before that would be undone.
    crash: timedelta = timedelta(seconds=60)
    retry: timedelta = timedelta(days=1)  # older ones are history, and so are failures that nobody was told of by then
    telling: timedelta = timedelta(days=3)


@dataclass(frozen=True)
class Watch:
    """What a look at the runs needs: where they are, and where turns and facts are.

    `ui` is the address of Prefect's pages, for the links that people are sent; `models` are by deployment.
    """

    api: PrefectApi
    settings: Settings
    now: datetime
    ui: str = ""
    patience: Patience = Patience()
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def outbox(self) -> Outbox:
        """Where facts are put."""
        return Outbox(self.settings.store_url)

    def model(self, run: FlowRun) -> str:
        """The model that a run retrains."""
        return self.models[str(run.deployment_id)]

    def has_begun(self, run: FlowRun) -> bool:
        """True where the run took its turn in this store."""
        return self.outbox.known(began_key(run.id)) is not None

    def knows(self, run: FlowRun) -> bool:
        """True where the run took its turn in this store, or another one of its deployment did."""
        if self.has_begun(run):
            return True
        others = self.api.flow_runs(deployment_ids=[str(run.deployment_id)], states=_ENDED, limit=_OTHERS)
        return any(map(self.has_begun, others))

    def age(self, run: FlowRun) -> timedelta:
        """How long a run is in its state."""
        return self.now - (run.state_since or run.created)

    def holds_turn(self, run: FlowRun) -> bool:
        """True where the process of this run lives and has the model's turn, or somebody who cannot be told has it."""
        found = holder(self.settings.store_url, self.model(run))
        return found is not None and found.holder in (run.id, _SOMEBODY)


def look_after_runs(watch: Watch) -> list[str]:
    """Crash what is dead, retry it once, and put a fact for what has failed for good; a line for each."""
    ours = (d for d in watch.api.deployments() if d.name.startswith(_RETRAIN) and TAG in d.tags)
    models = {deployment.id: deployment.name.removeprefix(_RETRAIN) for deployment in ours}
    if not models:
        return []
    watch, deployments = replace(watch, models=models), tuple(models)
    alive = watch.api.flow_runs(deployment_ids=deployments, states=("PENDING", "RUNNING"))
    since = watch.now - watch.patience.telling
    ended = watch.api.flow_runs(deployment_ids=deployments, states=("CRASHED", "FAILED"), ended_since=since)
    lines = [line for run in _dead(watch, alive) if (line := _crash(watch, run))]
    lines += [line for run in alive if (line := _wonder(watch, run))]
    lines += [line for run in ended if run.state_type == "CRASHED" if (line := _follow_up(watch, run))]
    return lines + [line for run in ended if run.state_type == "FAILED" if (line := _tell(watch, run))]


def _dead(watch: Watch, alive: tuple[FlowRun, ...]) -> list[FlowRun]:
    """Runs that look dead, and look so again after the time that a run takes to end once its turn is over."""
    suspects = [run for run in alive if _looks_dead(watch, run)]
    if suspects:
        time.sleep(watch.patience.end.total_seconds())
    again = (watch.api.flow_run(run.id) for run in suspects)
    return [
        run
        for run, same in zip(suspects, again, strict=True)
        if same is not None and same.state_since == run.state_since and _looks_dead(watch, same)
    ]


def _looks_dead(watch: Watch, run: FlowRun) -> bool:
    age, patience = watch.age(run), watch.patience
    if run.state_type == "PENDING":
        return age > patience.pending
    if run.parameters.get("dry_run"):
        return age > patience.dry_run and watch.knows(run)
    if age <= patience.start or watch.holds_turn(run):
        return False
    # One that died before it took its turn is no stranger for ever.
    return watch.has_begun(run) or (age > patience.pending and watch.knows(run))


def _wonder(watch: Watch, run: FlowRun) -> str | None:
    """Once for each run of others, which may live: its turn is in a store that is not asked."""
    if run.state_type == "PENDING" or watch.age(run) <= watch.patience.pending or watch.holds_turn(run):
        return None
    if watch.knows(run) or not watch.outbox.put(_note(watch, run, "stranger")):
        return None
    what = "has taken no turn in this store and is left alone; is EVERGREEN_STORE_URL that of its worker?"
    return f"crashed: run {run.name} of {watch.model(run)} {what}"


def _crash(watch: Watch, run: FlowRun) -> str | None:
    what = "never started" if run.state_type == "PENDING" else "its process is gone"
    try:
        watch.api.set_state(run.id, "CRASHED", "Crashed", f"Evergreen: {what}")
    except Refused:
        # It has ended by itself since it was looked at.
        return None
    return f"crashed: run {run.name} of {watch.model(run)}: {what}"


def _follow_up(watch: Watch, run: FlowRun) -> str | None:
    known = watch.outbox.known
    if watch.age(run) < watch.patience.crash or run.parameters.get("dry_run") or known(_fact_key(run)):
        return None
    if watch.age(run) > watch.patience.retry or known(_note(watch, run, "retried").key) or not watch.knows(run):
        return _tell(watch, run)
    due = run.expected_start_time or run.created
    states = ("PENDING", "RUNNING", "COMPLETED")
    found = watch.api.flow_runs(deployment_ids=[str(run.deployment_id)], states=states, since=due)
    later = [one for one in found if one.id != run.id and _does_more(one)]
    if any(one.state_type == "COMPLETED" for one in later):
        # An older look at the data must not follow a newer one.
        return _tell(watch, run, "; a later run has done its work")
    if later or holder(watch.settings.store_url, watch.model(run)) is not None:
        return None
    return _retry(watch, run)


def _does_more(later: FlowRun) -> bool:
    return _IDLE.isdisjoint(later.tags) and not later.parameters.get("dry_run")


def _retry(watch: Watch, run: FlowRun) -> str | None:
    # Of two processes that tend at once, one has the claim; if it dies before the end, another retries.
    claim = _note(watch, run, "retry")
    watch.outbox.put(claim)
    if not watch.outbox.claim(claim, _RETRY, watch.now, _LEASE):
        return None
    watch.api.set_state(run.id, "SCHEDULED", "AwaitingRetry", "Evergreen: tried once more from what is finished")
    watch.outbox.put(_note(watch, run, "retried"))
    return f"crashed: run {run.name} of {watch.model(run)} is tried once more"


def _tell(watch: Watch, run: FlowRun, more: str = "") -> str | None:
    if run.parameters.get("dry_run"):
        return None
    payload = _payload(watch, run, more)
    fact = Fact(_fact_key(run), FactKind.FAILED, watch.model(run), run.state_since or watch.now, payload)
    if watch.outbox.known(fact.key) or not watch.outbox.put(fact):
        return None
    return f"failed: run {run.name} of {fact.model}: {fact.payload['message']}"


def _payload(watch: Watch, run: FlowRun, more: str) -> dict[str, Any]:
    said = without_secrets(" ".join(run.message.split()), watch) or f"it ended as {run.state_name}"
    return {
        "flow_run": run.id,
        "name": run.name,
        "state": run.state_type,
        "message": (said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]}…") + more,
        "tries": run.run_count,
        "started": (run.start_time or run.created).isoformat(),
        "link": f"{watch.ui}/runs/flow-run/{run.id}" if watch.ui else None,
    }


def without_secrets(text: str, watch: Watch) -> str:
    """A text of somebody else's, such as a driver's error, fit for messages: addresses are shown without passwords."""
    settings = watch.settings
    for url in (settings.store_url, settings.tracking_uri, settings.snapshots, settings.artifacts, watch.api.url):
        text = scrubbed(text, url)
    if watch.api.auth:
        text = scrubbed(text, f"//{watch.api.auth}@")
    return _ADDRESS.sub(lambda found: redacted(found[0]), text)


def _fact_key(run: FlowRun) -> str:
    return f"flow_run:{run.id}"


def _note(watch: Watch, run: FlowRun, what: str) -> Fact:
    return Fact(f"{what}:{run.id}", FactKind.NOTE, watch.model(run), watch.now)
