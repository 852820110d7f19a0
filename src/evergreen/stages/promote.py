"""From a passed gate to production: register, smoke test, ledger, alias; in this order."""

import logging
from dataclasses import replace
from datetime import datetime

from evergreen.checks import Check
from evergreen.gate.decision import Decision, DecisionKind
from evergreen.registry.smoke import smoke_test
from evergreen.registry.versions import Registry, StaleChampion
from evergreen.settings import Settings
from evergreen.stages.describe import describe
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Evidence, Job, reached
from evergreen.stages.track import provenance
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.reconcile import withdrawn

log = logging.getLogger("evergreen.promote")


def register(job: Job, evidence: Evidence, settings: Settings) -> Evidence:
    """Register what passed its gate. A dry run registers nothing."""
    if job.run.request.dry_run:
        return evidence
    from evergreen.report.card import write_card

    evaluation, logged = reached(evidence.evaluation), reached(evidence.logged)
    origin = provenance(job, evaluation.challenger.metrics)
    split = reached(evidence.split)
    tags = replace(origin, trained_until=split.train_until, draw=split.draw).to_tags()
    card = write_card(describe(job, evidence, None), job.spec)
    registry = Registry(tracking_of(settings))
    version = registry.register(job.spec.model, reached(job.tracking).run_id, logged, tags, card)
    log.info("register    %s version %d", version.model, version.version)
    return evidence.add(registered=version)


def smoke(evidence: Evidence, settings: Settings) -> Evidence:
    """Put stored requests to the registered artifact in a fresh process; one that fails rejects the challenger."""
    if evidence.registered is None:
        return evidence
    # An equal training that was registered before is the version, with the artifact that it has.
    check = smoke_test(tracking_of(settings), evidence.registered.uri, evidence.registered.digest)
    log.info("smoke test  %s: %s", check.outcome, check.why)
    return evidence.add(decision=_with_smoke(reached(evidence.decision), check))


def record(job: Job, evidence: Evidence, settings: Settings, now: datetime) -> LedgerEntry | None:
    """Write the decision to the ledger, before it has any effect. A dry run writes nothing."""
    if job.run.request.dry_run:
        return None
    run, decision = job.run, reached(evidence.decision)
    before = run.champion.version if run.champion else None
    version = evidence.registered.version if evidence.registered else None
    entry = Ledger(settings.store_url).record(
        LedgerEntry(
            model=job.spec.model,
            kind=decision.kind,
            reasons=decision.reasons,
            checks=decision.checks,
            reason=run.request.reason,
            as_of=run.request.as_of,
            decided_at=now,
            decided_by=run.origin.user,
            training_key=job.key,
            snapshot=job.snapshot.digest,
            spec_digest=job.spec.digest,
            code=job.code,
            mlflow_run=job.tracking.run_id if job.tracking else None,
            flow_run=run.origin.flow_run,
            version=version,
            champion_before=before,
            champion_after=version if decision.kind is DecisionKind.PROMOTE else before,
            model_digest=evidence.registered.digest if evidence.registered else None,
        )
    )
    log.info("ledger      decision %s: %s", entry.id, decision.kind)
    return entry


def promote(entry: LedgerEntry | None, settings: Settings, now: datetime) -> None:
    """Give a recorded PROMOTE its effect: move the alias, then note it in the champion history.

    Any other decision has none. Raises StaleChampion where the champion is no longer the one that the challenger was
    measured against; the ledger then says that the promotion is withdrawn.
    """
    if entry is None or entry.kind is not DecisionKind.PROMOTE:
        return
    ledger, version = Ledger(settings.store_url), reached(entry.version)
    try:
        # A crash between the alias and the history is finished by reconcile() at the start of the next run.
        Registry(tracking_of(settings)).promote(entry.model, version, entry.champion_before)
    except StaleChampion as error:
        ledger.record(withdrawn(entry, str(error), now))
        raise
    ledger.crown(reached(entry.id), entry.model, version, now)
    log.info("promote     version %d of %s is champion", version, entry.model)


def _with_smoke(decision: Decision, check: Check) -> Decision:
    checks = (*decision.checks, check)
    if check.passed:
        return replace(decision, checks=checks)
    return Decision(DecisionKind.REJECT, (f"smoke_test {check.outcome}: {check.why}",), checks)
