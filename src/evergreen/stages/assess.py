"""Is the data fit to learn from, and has it moved?"""

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.checks import Outcome
from evergreen.data.quarantine import quarantine
from evergreen.drift.result import DriftResult
from evergreen.errors import UserError
from evergreen.gate.decision import Decision
from evergreen.gate.judge import hold_for_data, hold_for_drift, skip
from evergreen.registry.handles import Champion
from evergreen.report.run import VALIDATE
from evergreen.settings import Settings
from evergreen.spec.columns import PREDICTION
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Evidence, Job
from evergreen.stages.selection import check_selection

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.drift.profile import Profile

log = logging.getLogger("evergreen.assess")


def validate(job: Job, settings: Settings) -> Evidence:
    """Apply the schema's rules to the snapshot; what fails holds the run and puts the snapshot into quarantine."""
    from evergreen.data.frame import read_snapshot
    from evergreen.validation.validate import validate as apply_rules

    champion = job.run.champion
    profile = read_profile(champion) if champion else None
    result = apply_rules(read_snapshot(job.snapshot.path), job.snapshot, job.spec, profile, _since(job))
    checks = tuple(replace(check, stage=VALIDATE) for check in result.checks)
    selection = check_selection(job.spec, job.snapshot.as_of, settings)
    warnings = (*result.warnings, *(check for check in selection if check.outcome is Outcome.FAIL))
    evidence = Evidence(validation=checks, warnings=warnings)
    for check in (*result.broken, *warnings):
        log.warning("validate    %s %s: %s", check.outcome, check.name, check.why)
    if result.passed:
        log.info("validate    %d checks pass", len(result.checks))
        return evidence
    broken = [check for check in checks if not check.passed]
    place = quarantine(job.snapshot, settings.snapshots, job.spec.model, [check.to_dict() for check in broken])
    log.warning("quarantine  %s", place)
    return evidence.add(decision=hold_for_data(broken))


def assess_drift(job: Job, evidence: Evidence, settings: Settings) -> Evidence:
    """Compare the current rows with the champion's reference.

    Too much drift holds the run; too little ends one that was started for drift.
    """
    champion = job.run.champion
    if champion is None:
        log.info("drift       no champion yet, nothing to compare with")
        return evidence
    from evergreen.drift.assess import assess
    from evergreen.drift.report import render

    current = _current_rows(job, champion, settings)
    result = assess(current, read_profile(champion), job.spec.drift, roles(job))
    result = render(result, current, read_reference(champion), job.spec.drift, job.workspace / "drift")
    moved = ", ".join(result.drifted) or "none"
    log.info("drift       %s rows against version %d, drifted: %s", f"{result.current_rows:,}", champion.version, moved)
    return evidence.add(drift=result, decision=_settle(job, result))


def roles(job: Job) -> dict[str, str]:
    """Which columns are compared, and as what."""
    inputs = dict.fromkeys((*job.spec.compared_sources, *job.spec.compared_derived), "input")
    return {**inputs, job.spec.data.target: "target", PREDICTION: "prediction"}


def with_derived(frame: "pd.DataFrame", model: Any, names: Collection[str]) -> "pd.DataFrame":
    """The frame with those of the named columns that a model's own pipeline derives from it."""
    if not names:
        return frame
    features = model[:2].transform(frame)
    return frame.assign(**{name: features[name].array for name in names if name in features.columns})


def predictions(model: Any, frame: "pd.DataFrame") -> "pd.Series":
    """A model's answers as one column to profile: the second class's probability of two, else the label or number."""
    import pandas as pd

    binary = len(getattr(model, "classes_", ())) == 2
    values = model.predict_proba(frame)[:, 1] if binary else model.predict(frame)
    return pd.Series(values, index=frame.index, name=PREDICTION)


def load_champion(job: Job, champion: Champion, settings: Settings) -> Any:
    """The champion's pipeline. Raises UserError where the snapshot lacks a column that it reads."""
    from evergreen.registry.complete import reading
    from evergreen.registry.model import load

    tracking = tracking_of(settings)
    with reading(tracking, champion):
        model = load(tracking, champion.source, champion.digest)
    missing = [name for name in model["read"].types if name not in job.spec.column_types]
    if missing:
        raise UserError(
            f"configs: version {champion.version} of {champion.model} reads column {missing[0]!r}, which the spec no "
            "longer names; list it under schema.columns until the champion is replaced"
        )
    return model


def _settle(job: Job, result: DriftResult) -> Decision | None:
    from evergreen.drift.check import drift_checks, no_reason_to_retrain

    for_drift = job.run.request.has_to_find_drift
    checks = drift_checks(result, job.spec.drift, for_drift)
    if for_drift and no_reason_to_retrain(result, job.spec.drift):
        return skip(f"started for drift, but {checks[-1].why}", checks)
    if checks[0].outcome is Outcome.FAIL:
        return hold_for_drift(checks)
    return None


def _current_rows(job: Job, champion: Champion, settings: Settings) -> "pd.DataFrame":
    """Rows of the drift window with what the champion derives and answers; all rows without a time column."""
    from evergreen.data.frame import read_snapshot

    spec, since = job.spec, _since(job)
    model = load_champion(job, champion, settings)
    columns = (*spec.raw_inputs, *model["read"].types, spec.data.target, *filter(None, [spec.data.time_column]))
    frame = read_snapshot(job.snapshot.path, list(dict.fromkeys(columns)))
    if since is not None and spec.data.time_column is not None:
        frame = frame[(frame[spec.data.time_column] > since.replace(tzinfo=None)).to_numpy()]
    if frame.empty:
        return frame
    # The answers first: a derived column may have the name of its source.
    answers = predictions(model, frame)
    return with_derived(frame, model, spec.compared_derived).assign(**{PREDICTION: answers})


def _since(job: Job) -> datetime | None:
    """The moment after which rows are current: the drift window's start, or the end of the champion's training."""
    window, champion = job.spec.drift.window, job.run.champion
    if window is not None and job.snapshot.last_time is not None:
        return job.run.request.as_of - window
    return champion.trained_until if champion else None


def read_profile(champion: Champion) -> "Profile":
    """The stored profile of the champion's reference."""
    from evergreen.drift.profile import Profile

    return Profile.from_json(Path(champion.profile).read_text(encoding="utf-8"))


def read_reference(champion: Champion) -> "pd.DataFrame":
    """The champion's reference sample."""
    import pandas as pd

    return pd.read_parquet(champion.reference)
