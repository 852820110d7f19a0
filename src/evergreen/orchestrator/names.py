"""What deployments, automations and events are called on a Prefect server."""

POOL = "evergreen"
# Whatever carries this tag was written by `evergreen deploy`, which may remove it again.
TAG = "evergreen"
APPROVE = "approve/approve"

_AUTOMATION = "evergreen: drift retrains "
_RESOURCE = "evergreen.model."


def retrain_deployment(model: str) -> str:
    """The deployment that retrains a model.

    >>> retrain_deployment("churn")
    'retrain/churn'
    """
    return f"retrain/{model}"


def drift_automation(model: str) -> str:
    """The automation that turns a drift event into a retraining.

    >>> drift_automation("churn")
    'evergreen: drift retrains churn'
    """
    return f"{_AUTOMATION}{model}"


def automated_model(name: str) -> str | None:
    """The model of a drift automation; None for an automation that is not ours.

    >>> automated_model("evergreen: drift retrains churn"), automated_model("page the crew")
    ('churn', None)
    """
    return name.removeprefix(_AUTOMATION) if name.startswith(_AUTOMATION) else None


def model_resource(model: str) -> str:
    """The resource id of a model in events.

    >>> model_resource("churn")
    'evergreen.model.churn'
    """
    return f"{_RESOURCE}{model}"
