"""A model artifact as a folder of files: its digest, its pipeline, and the requests it must answer. Without MLflow."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError
from evergreen.registry.trust import untrusted

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

REQUESTS = "requests.parquet"
EXPECTED = "expected.json"
TOLERANCE = 1e-9

# MLflow adds this file to whatever somebody downloads as a version.
_ADDED_LATER = "registered_model_meta"

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Answers:
    """What a pipeline says to the stored requests, row by row; probabilities None where it has none."""

    predictions: tuple[Any, ...]
    probabilities: tuple[tuple[float, ...], ...] | None = None


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file of an artifact by its name relative to the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _ADDED_LATER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def digest_of(files: Files) -> str:
    """The sha256 over names, lengths and bytes, in the order of the names.

    >>> digest_of({"a": b"1", "b": b"2"}) == digest_of({"b": b"2", "a": b"1"}) != digest_of({"a": b"12", "b": b""})
    True
    """
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def answers_digest(files: Files) -> str:
    """The digest of an artifact without MLflow's description and the pipeline's file: both differ from one saving of
    the same model to the next, by ids, times and addresses in memory. What the pipeline answers is among the rest.
    """
    apart = ("MLmodel", _flavor(files)["pickled_model"])
    return digest_of({name: content for name, content in files.items() if name not in apart})


def read_verified(folder: Path, digest: str) -> dict[str, bytes]:
    """The files of an artifact, which are loaded from these very bytes. Raises IntegrityError if the digest differs."""
    files = read_files(folder)
    if (found := digest_of(files)) != digest:
        message = (
            f"{folder}: the model artifact has digest {found[:12]} and not {digest[:12]}, the one it was logged with"
        )
        raise IntegrityError(f"{message}; it is not loaded. Train again, or restore the artifact")
    return files


def load_pipeline(files: Files) -> "Pipeline":
    """The pipeline in an artifact whose digest was verified. Raises IntegrityError for types that are not trusted."""
    flavor = _flavor(files)
    content = files[flavor["pickled_model"]]
    if flavor["serialization_format"] == "skops":
        return load_skops(content)
    import cloudpickle  # type: ignore[import-untyped]

    return cloudpickle.loads(content)


def load_skops(content: bytes) -> Any:
    """What skops saved, if it holds only types that we trust, whatever the artifact itself says about trust."""
    import skops.io

    names = skops.io.get_untrusted_types(data=content)
    if foreign := untrusted(names):
        raise IntegrityError(f"the saved model holds types that are not trusted ({', '.join(foreign)}); not loaded")
    return skops.io.loads(content, trusted=names)


def answer(pipeline: "Pipeline", requests: "pd.DataFrame") -> Answers:
    """What the pipeline says to these rows, as plain values."""
    predictions = tuple(pipeline.predict(requests).tolist())
    if not hasattr(pipeline, "predict_proba"):
        return Answers(predictions)
    return Answers(predictions, tuple(tuple(row) for row in pipeline.predict_proba(requests).tolist()))


def write_requests(folder: Path, requests: "pd.DataFrame", expected: Answers) -> None:
    """Store rows and the answers to them beside the model."""
    requests.reset_index(drop=True).to_parquet(folder / REQUESTS)
    values = {"predictions": expected.predictions, "probabilities": expected.probabilities}
    (folder / EXPECTED).write_text(json.dumps(values))


def read_requests(files: Files) -> "tuple[pd.DataFrame, Answers]":
    """The inverse of `write_requests`."""
    import pandas as pd

    values = json.loads(files[EXPECTED])
    rows = values["probabilities"]
    probabilities = None if rows is None else tuple(tuple(row) for row in rows)
    return pd.read_parquet(io.BytesIO(files[REQUESTS])), Answers(tuple(values["predictions"]), probabilities)


def difference(expected: Answers, actual: Answers) -> float:
    """The largest difference of two answers: absolute below 1, relative above; infinite where labels differ.

    >>> difference(Answers((1.0, 2e6)), Answers((1.0, 2e6 + 1e-4))) < TOLERANCE
    True
    >>> difference(Answers(("a",)), Answers(("b",)))
    inf
    """
    pairs = [(expected.predictions, actual.predictions)]
    if expected.probabilities is not None or actual.probabilities is not None:
        pairs += zip(expected.probabilities or (), actual.probabilities or (), strict=False)
        if len(expected.probabilities or ()) != len(actual.probabilities or ()):
            return float("inf")
    return max((_largest(left, right) for left, right in pairs), default=0.0)


def _flavor(files: Files) -> dict[str, Any]:
    import yaml

    flavor: dict[str, Any] = yaml.safe_load(files["MLmodel"])["flavors"]["sklearn"]
    return flavor


def _largest(expected: tuple[Any, ...], actual: tuple[Any, ...]) -> float:
    if len(expected) != len(actual):
        return float("inf")
    return max((_apart(left, right) for left, right in zip(expected, actual, strict=True)), default=0.0)


def _apart(left: Any, right: Any) -> float:
    if not (isinstance(left, float) and isinstance(right, float)):
        return 0.0 if left == right else float("inf")
    apart = abs(left - right) / max(1.0, abs(left))
    return apart if apart == apart else float("inf")  # noqa: PLR0124 - a NaN equals nothing, and is no answer
