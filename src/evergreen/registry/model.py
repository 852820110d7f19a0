"""A pipeline as a model artifact: with its signature, its requirements and requests that it must answer."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.registry import provenance as tag
from evergreen.registry.answers import answering
from evergreen.registry.artifact import (
    TOLERANCE,
    Answers,
    answer,
    answers_digest,
    difference,
    digest_of,
    load_pipeline,
    load_skops,
    read_files,
    read_verified,
    write_requests,
)
from evergreen.registry.handles import LoggedModel
from evergreen.registry.tracking import Tracking
from evergreen.registry.trust import untrusted

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

_SIGNATURE_ROWS = 1000
_REQUEST_ROWS = 100
_EXAMPLE_ROWS = 5


def log_model(
    tracking: Tracking,
    run_id: str,
    pipeline: "Pipeline",
    example: "pd.DataFrame",
    requirements: Sequence[str],
    name: str = "model",
) -> LoggedModel:
    """Save a fitted pipeline as an artifact of a run; a second call on the same run saves a second model.

    `example` holds raw rows as the pipeline takes them, best the first of the holdout: up to 1000 give the signature,
    up to 100 are stored with the answers of the pipeline in memory. `requirements` are pinned, one `name==version`
    each. It is saved with skops where that gives the same answers, else with cloudpickle.
    """
    requests = example.head(_REQUEST_ROWS)
    expected = answer(pipeline, requests)
    trusted = _trusted_types(pipeline, requests, expected)
    with answering(tracking.uri), tempfile.TemporaryDirectory(prefix="evergreen-model-") as scratch:
        run = tracking.client.get_run(run_id)
        model = tracking.client.create_logged_model(run.info.experiment_id, name, run_id)
        folder = Path(scratch) / "model"
        _save(folder, pipeline, example, requirements, trusted, model)
        write_requests(folder, requests, expected)
        files = read_files(folder)
        tracking.client.log_model_artifacts(model.model_id, str(folder))
        logged = LoggedModel(
            uri=f"models:/{model.model_id}",
            digest=digest_of(files),
            size_mb=sum(map(len, files.values())) / 1e6,
            serialization="cloudpickle" if trusted is None else "skops",
            answers=answers_digest(files),
        )
        _link(tracking, run_id, model.model_id, logged)
    return logged


def load(tracking: Tracking, uri: str, digest: str) -> "Pipeline":
    """The pipeline of a logged or registered model. Raises IntegrityError, before anything is unpickled, where the
    artifact is not the one with this digest.
    """
    with tempfile.TemporaryDirectory(prefix="evergreen-model-") as scratch:
        files = read_verified(tracking.download(uri, Path(scratch)), digest)
    return load_pipeline(files)


def _trusted_types(pipeline: "Pipeline", requests: "pd.DataFrame", expected: Answers) -> list[str] | None:
    """The types that skops needs to be told to trust; None where it cannot save this pipeline faithfully."""
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        content = skops.io.dumps(pipeline)
        names = skops.io.get_untrusted_types(data=content)
        if untrusted(names):
            return None
        restored = answer(load_skops(content), requests)
    except (UnsupportedTypeException, TypeError, AttributeError, ValueError, KeyError):
        # What skops cannot save or restore it says in many ways; the other format has no such limits.
        return None
    return list(names) if difference(expected, restored) <= TOLERANCE else None


def _save(
    folder: Path,
    pipeline: "Pipeline",
    example: "pd.DataFrame",
    requirements: Sequence[str],
    trusted: list[str] | None,
    model: Any,
) -> None:
    import logging

    import mlflow.sklearn
    from mlflow.models import Model

    # Its advice on cloudpickle is for people who choose it; here it is the exception, and recorded.
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    described = Model(
        artifact_path=model.artifact_location,
        run_id=model.source_run_id,
        model_uuid=model.model_id,
        model_id=model.model_id,
    )
    mlflow.sklearn.save_model(
        pipeline,
        str(folder),
        mlflow_model=described,
        serialization_format="cloudpickle" if trusted is None else "skops",
        skops_trusted_types=trusted,
        signature=_signature(pipeline, example.head(_SIGNATURE_ROWS)),
        input_example=example.head(_EXAMPLE_ROWS),
        pip_requirements=list(requirements),
    )


def _signature(pipeline: "Pipeline", example: "pd.DataFrame") -> Any:
    import pandas as pd
    from mlflow.models import infer_signature

    signature = infer_signature(example, pd.Series(pipeline.predict(example)))
    # Where MLflow fails to infer it says nothing, or "anything goes".
    if signature is None or signature.inputs is None or signature.inputs.input_names() != list(example.columns):
        raise ValueError(f"MLflow infers no signature from columns of types {dict(example.dtypes.astype(str))}")
    return signature


def _link(tracking: Tracking, run_id: str, model_id: str, logged: LoggedModel) -> None:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    tracking.client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    tracking.client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    # Last, so that a run says that it has a model only once it has all of it.
    tags = {
        tag.MODEL_URI: logged.uri,
        tag.MODEL_DIGEST: logged.digest,
        tag.MODEL_SIZE_MB: repr(logged.size_mb),
        tag.SERIALIZATION: logged.serialization,
    }
    tracking.log_tags(run_id, tags)
