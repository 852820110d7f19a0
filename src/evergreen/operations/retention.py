"""Traffic is deleted once it is as old as its spec says."""

from datetime import datetime

from evergreen.operations.specs import Specs
from evergreen.settings import Settings
from evergreen.store.asked import Requests
from evergreen.store.traffic import Traffic


def forget_traffic(specs: Specs, settings: Settings, now: datetime) -> list[str]:
    """Delete what is too old, model by model; a line for each that had some. Models without a spec keep theirs."""
    traffic, requests, lines = Traffic(settings.store_url), Requests(settings.store_url), []
    for spec in specs.values():
        before = now - spec.serving.capture.keep
        requests.forget(spec.model, before)
        if forgotten := traffic.forget(spec.model, before):
            lines.append(
                f"traffic: {forgotten:,} predictions of {spec.model} from before {before:%Y-%m-%d} are deleted"
            )
    return lines
