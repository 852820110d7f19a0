"""From a passed gate to production: register, smoke test, ledger, alias; in this order."""

import logging
from dataclasses import replace
from datetime import datetime

from evergreen.checks import Check
from evergreen.errors import PinnedChampion, StaleChampion
from evergreen.gate.decision import Decision, DecisionKind
from evergreen.registry.candidate import Candidate, keep_candidate
from evergreen.registry.smoke import smoke_test
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.spec.canary import CanaryRules
from evergreen.stages.describe import describe
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.run import Evidence, Job, reached
from evergreen.stages.track import provenance
from evergreen.store.entry import Cause, Intention, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.reconcile import crown_served

log = logging.getLogger("evergreen.promote")


def register(job: Job, evidence: Evidence, settings: Settings, now: datetime) -> Evidence:
    """Register what passed its gate, whether it is promoted at once or waits for a person. A dry run does not.

    What is intended is written to the ledger first: a version that nobody came to decide on is known by it.
    """
    if job.run.request.dry_run:
        return evidence
    run_id, candidate = reached(job.tracking).run_id, _candidate(job, evidence)
    intention = Ledger(settings.store_url).intend(_intention(job, evidence, now))
    registry = registry_of(settings)
    version = registry.register(job.spec.model, run_id, candidate.logged, candidate.tags, candidate.card)
    log.info("register    %s version %d", version.model, version.version)
    for remark in version.passed_over:
        log.warning("register    %s", remark)
    remarks = tuple(dict.fromkeys((*evidence.remarks, *version.passed_over)))
    return evidence.add(registered=version, intention=intention.id, remarks=remarks)


def smoke(evidence: Evidence, settings: Settings) -> Evidence:
    """Put stored requests to the registered artifact in a fresh process; one that fails rejects the challenger."""
    if evidence.registered is None:
        return evidence
    # An equal training that was registered before is the version, with the artifact that it has.
    check = smoke_test(tracking_of(settings), evidence.registered.uri, evidence.registered.digest)
    log.info("smoke test  %s: %s", check.outcome, check.why)
    return evidence.add(decision=_with_smoke(reached(evidence.decision), check))


def record(job: Job, evidence: Evidence, settings: Settings, now: datetime) -> LedgerEntry | None:
    """Write the decision to the ledger, before it has any effect. A dry run writes nothing.

    What registering a held challenger later takes is kept first, so that whoever finds it held can approve it. One that
    waits for its canary is tried from that moment on.
    """
    if job.run.request.dry_run:
        return None
    if evidence.decided(DecisionKind.HOLD) and evidence.logged is not None and evidence.registered is None:
        keep_candidate(tracking_of(settings), reached(job.tracking).run_id, _candidate(job, evidence))
    entry = Ledger(settings.store_url).record(_entry(job, evidence, now), trial_of(job, evidence))
    log.info("ledger      decision %s: %s", entry.id, entry.kind)
    return entry


def promote(entry: LedgerEntry | None, settings: Settings, now: datetime) -> None:
    """Give a recorded PROMOTE its effect: move the alias, then note it in the champion history.

    Any other decision has none, and neither has one that somebody else finished meanwhile. Raises StaleChampion where
    the champion is no longer the one that the challenger was measured against, or somebody withdrew the promotion, and
    PinnedChampion where somebody pinned it, except for a rollback; the ledger then says that it is withdrawn.
    """
    if entry is None or entry.kind is not DecisionKind.PROMOTE:
        return
    ledger, registry = Ledger(settings.store_url), registry_of(settings)
    # Alias and history in one turn: who came in between would find a champion that no history has, or lose its reign.
    with registry.turn(entry.model):
        if line := crown_served(ledger, registry, entry.model, now, but=entry.id):
            log.warning("reconcile   %s", line)
        if _is_open(entry, ledger):
            _take_effect(entry, ledger, registry, now)
    log.info("promote     version %d of %s is champion", reached(entry.version), entry.model)


def _is_open(entry: LedgerEntry, ledger: Ledger) -> bool:
    """False where somebody else gave the decision its effect. Raises StaleChampion where it can have none any more."""
    if entry.id in [crown.decision_id for crown in ledger.history(entry.model)]:
        return False
    if entry.id not in [other.id for other in ledger.unfinished(entry.model)]:
        raise StaleChampion(
            f"{entry.model}: decision {entry.id} was withdrawn, or a later one took effect, before it could; "
            f"evergreen history {entry.model}"
        )
    return True


def _take_effect(entry: LedgerEntry, ledger: Ledger, registry: Registry, now: datetime) -> None:
    version, by_hand = reached(entry.version), entry.cause is Cause.ROLLBACK
    try:
        # A crash between the alias and the history is finished by reconcile() at the start of the next run.
        registry.promote(entry.model, version, entry.champion_before, despite_pin=by_hand, fence=entry.fence)
    except (StaleChampion, PinnedChampion) as error:
        ledger.withdraw(entry, str(error), now)
        raise
    ledger.crown(reached(entry.id), entry.model, version, now)


def trial_of(job: Job, evidence: Evidence) -> CanaryRules | None:
    """The rules that a challenger is tried by: one that passed gate and smoke test, beside a champion; else None."""
    waits = evidence.decided(DecisionKind.HOLD) and evidence.registered is not None and evidence.passed_gate
    return job.spec.promotion.trial if waits and job.run.champion is not None else None


def _entry(job: Job, evidence: Evidence, now: datetime) -> LedgerEntry:
    run, decision, registered = job.run, reached(evidence.decision), evidence.registered
    before = run.champion.version if run.champion else None
    version = registered.version if registered else None
    artifact = registered or evidence.logged
    # A run that stopped before its training is no later answer to what an earlier training asked.
    about_training = evidence.logged is not None or decision.kind is DecisionKind.SKIP
    return LedgerEntry(
        model=job.spec.model,
        kind=decision.kind,
        reasons=(*decision.reasons, *evidence.remarks),
        checks=decision.checks,
        reason=run.request.reason,
        as_of=run.request.as_of,
        decided_at=now,
        decided_by=run.origin.user,
        training_key=job.key if about_training else None,
        snapshot=job.snapshot.digest,
        spec_digest=job.spec.digest,
        code=job.code,
        mlflow_run=job.tracking.run_id if job.tracking else None,
        flow_run=run.origin.flow_run,
        version=version,
        champion_before=before,
        champion_after=version if decision.kind is DecisionKind.PROMOTE else before,
        model_digest=artifact.digest if artifact else None,
        fence=run.fence,
        intention=evidence.intention,
    )


def _intention(job: Job, evidence: Evidence, now: datetime) -> Intention:
    champion, logged = job.run.champion, reached(evidence.logged)
    return Intention(
        model=job.spec.model,
        training_key=job.key,
        mlflow_run=reached(job.tracking).run_id,
        model_digest=logged.digest,
        champion_before=champion.version if champion else None,
        fence=job.run.fence,
        at=now,
    )


def _candidate(job: Job, evidence: Evidence) -> Candidate:
    """The challenger with what its version says about itself."""
    from evergreen.report.card import write_card

    split = reached(evidence.split)
    origin = provenance(job, reached(evidence.evaluation).challenger.metrics)
    tags = replace(origin, trained_until=split.train_until, draw=split.draw).to_tags()
    return Candidate(reached(evidence.logged), tags, write_card(describe(job, evidence, None), job.spec))


def _with_smoke(decision: Decision, check: Check) -> Decision:
    checks = (*decision.checks, check)
    if check.passed:
        return replace(decision, checks=checks)
    return Decision(DecisionKind.REJECT, (f"smoke_test {check.outcome}: {check.why}",), checks)
