"""What deployments, automations and events are called on a Prefect server."""

import re

POOL = "evergreen"
# Whatever carries this tag was written by `evergreen deploy`, which may remove it again.
TAG = "evergreen"
APPROVE = "approve/approve"

RETRAINS = ("drift", "performance")
"""For what a model has an automation that retrains it, each of its own: the templates are called so."""

_AUTOMATION = re.compile(r"evergreen: [\w-]+ retrains (.+)")
_RESOURCE = "evergreen.model."


def retrain_deployment(model: str) -> str:
    """The deployment that retrains a model.

    >>> retrain_deployment("churn")
    'retrain/churn'
    """
    return f"retrain/{model}"


def automation(reason: str, model: str) -> str:
    """The automation that turns an event, of drift or of performance, into a retraining.

    >>> automation("drift", "churn")
    'evergreen: drift retrains churn'
    """
    return f"evergreen: {reason} retrains {model}"


def automated_model(name: str) -> str | None:
    """The model of an automation that retrains; None for an automation that is not ours.

    >>> automated_model("evergreen: drift retrains churn"), automated_model("page the crew")
    ('churn', None)
    """
    found = _AUTOMATION.fullmatch(name)
    return found[1] if found else None


def model_resource(model: str) -> str:
    """The resource id of a model in events.

    >>> model_resource("churn")
    'evergreen.model.churn'
    """
    return f"{_RESOURCE}{model}"
