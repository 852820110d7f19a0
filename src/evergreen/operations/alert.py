"""Drift alerts: what somebody saw in a model's inputs, kept until the retraining that it asks for is started."""

from datetime import UTC, datetime, timedelta

from evergreen.drift.alert import DriftAlert
from evergreen.operations.specs import read_specs
from evergreen.settings import Settings
from evergreen.store.facts import Fact, FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox

# Runs that were dropped are rows of the ledger, too: this many may have come since the last retraining for drift.
_RECENT = 1000


def raise_alert(model: str, alert: DriftAlert, settings: Settings, now: datetime) -> bool:
    """Keep an alert in the outbox, from where it is delivered; False where `refusal` says why it is not kept."""
    if refusal(model, alert, settings, now) is not None:
        return False
    payload = alert.model_dump(mode="json")
    return Outbox(settings.store_url).put(Fact(_key(model, alert, now), FactKind.DRIFT, model, now, payload))


def refusal(model: str, alert: DriftAlert, settings: Settings, now: datetime) -> str | None:
    """Why an alert starts nothing: its window was reported before, or the model cools down. None where it does."""
    ledger, outbox = Ledger(settings.store_url), Outbox(settings.store_url)
    ledger.prepare()
    if (same := outbox.known(_key(model, alert, now))) is not None:
        return f"this window was reported before, on {same.at:%Y-%m-%d %H:%M} UTC"
    cooldown = _cooldown(model, settings)
    reported, retrained = outbox.latest(model, FactKind.DRIFT), _last_drift_retraining(ledger, model)
    for what, at in (("drift was reported", reported and reported.at), ("it was retrained for drift", retrained)):
        if at and now < at + cooldown:
            until = f"until {at + cooldown:%Y-%m-%d %H:%M} UTC (drift.cooldown)"
            return f"{what} on {at:%Y-%m-%d %H:%M} UTC, and {model} cools down {until}"
    return None


def _key(model: str, alert: DriftAlert, now: datetime) -> str:
    """The window's end names the alert; an alert without a window is one of its own."""
    end = alert.window_end or now
    return f"drift:{model}:{(end if end.tzinfo else end.replace(tzinfo=UTC)).astimezone(UTC).isoformat()}"


def _cooldown(model: str, settings: Settings) -> timedelta:
    from evergreen.spec.rules import DriftRules

    specs, _ = read_specs(settings)
    rules = next((spec.drift for spec in specs.values() if spec.model == model), DriftRules())
    return rules.cooldown


def _last_drift_retraining(ledger: Ledger, model: str) -> datetime | None:
    return next((entry.decided_at for entry in ledger.entries(model, _RECENT) if entry.retrained_for_drift), None)
