"""How a registered model and its versions come to be in MLflow, and by what an equal version is known."""

from collections.abc import Mapping
from typing import Any

from evergreen.registry import provenance as tag
from evergreen.registry.answers import is_served
from evergreen.registry.handles import LoggedModel
from evergreen.registry.tracking import Tracking

ANSWERS_DIGEST = "evergreen.answers_digest"


def create_model(tracking: Tracking, model: str) -> None:
    """Have MLflow know a registered model; one that it knows is left as it is."""
    from mlflow.exceptions import MlflowException

    try:
        tracking.client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def create_version(
    tracking: Tracking, model: str, run_id: str, logged: LoggedModel, tags: Mapping[str, str], description: str
) -> None:
    """Register a logged model, whether an equal version is there or not."""
    model_id = logged.uri.removeprefix("models:/")
    # In a database MLflow would look a `models:/` source up at its global address, which need not be ours.
    served = is_served(tracking.uri)
    source = logged.uri if served else tracking.client.get_logged_model(model_id).artifact_location
    tracking.client.create_model_version(
        model,
        source,
        run_id=run_id,
        tags={**tags, tag.MODEL_DIGEST: logged.digest, tag.MODEL_URI: logged.uri, ANSWERS_DIGEST: logged.answers},
        description=description,
        model_id=model_id,
    )


def is_same(version: Any, run_id: str, logged: LoggedModel, training_key: str | None) -> bool:
    """True for a version of this very logged model, or of an equal training that gave the same answers."""
    if version.run_id == run_id and version.tags.get(tag.MODEL_DIGEST) == logged.digest:
        return True
    known = (version.tags.get(tag.TRAINING_KEY), version.tags.get(ANSWERS_DIGEST))
    return training_key is not None and known == (training_key, logged.answers)
