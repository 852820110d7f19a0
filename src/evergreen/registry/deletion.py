"""What is removed from MLflow for good: a version that nobody needs, and a run with everything that it kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from evergreen.errors import UnavailableError
from evergreen.registry import provenance as tag
from evergreen.registry.answers import answering, is_missing
from evergreen.registry.tracking import Tracking
from evergreen.store.ledger import Ledger
from evergreen.store.protected import ProtectedVersion, protected

_PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class KeptRun:
    """A training in MLflow with its trials (`children`) and the models that were logged in any of them.

    `ended` is an aware moment, None while the run is open. `places` are where its files are, models by their id.
    """

    run_id: str
    ended: datetime | None
    snapshot: str
    children: tuple[str, ...]
    models: tuple[str, ...]
    places: tuple[str, ...]


def require_unprotected(model: str, number: int, aliases: Mapping[str, int], store: str | None) -> None:
    """Raise ProtectedVersion for a version that an alias points at, or that the ledger in the `store` needs."""
    behind = [f"alias {alias} points at it" for alias, version in sorted(aliases.items()) if version == number]
    needed = {} if store is None else protected(Ledger(store), model)
    if why := needed.get(number) or next(iter(behind), None):
        raise ProtectedVersion(f"version {number} of {model} is not deleted: {why}")


def require_unheld(model: str, number: int, tags: Mapping[str, str], store: str) -> None:
    """Raise ProtectedVersion for the challenger of a held decision that was made before it had a version."""
    for entry in Ledger(store).pending(model):
        if is_held(tags, entry.model_digest, entry.training_key):
            raise ProtectedVersion(f"version {number} of {model} is not deleted: decision {entry.id} holds it")


def is_held(tags: Mapping[str, str], digest: str | None, training_key: str | None) -> bool:
    """True where a version with these tags is the challenger with this digest, or its twin.

    >>> is_held({"evergreen.training_key": "k"}, "d", "k"), is_held({}, None, None)
    (True, False)
    """
    pairs = ((tags.get(tag.MODEL_DIGEST), digest), (tags.get(tag.TRAINING_KEY), training_key))
    return any(own is not None and own == held for own, held in pairs)


def delete_version(tracking: Tracking, model: str, number: int) -> None:
    """Delete a version whatever it is; one that is gone is left so. For the registry, which looks first."""
    from mlflow.exceptions import MlflowException

    with answering(tracking.uri):
        try:
            tracking.client.delete_model_version(model, str(number))
        except MlflowException as error:
            if not is_missing(error):
                raise


def kept_runs(tracking: Tracking, model: str) -> tuple[KeptRun, ...]:
    """Every training of a model that MLflow still has, dry runs among them; runs that are not Evergreen's left out."""
    with answering(tracking.uri):
        experiment = tracking.client.get_experiment_by_name(model)
        if experiment is None:
            return ()
        runs = list(_all(tracking.client.search_runs, [experiment.experiment_id]))
        models = list(_all(_found_models(tracking), [experiment.experiment_id]))
    below = _grouped((run.data.tags.get(_PARENT), run) for run in runs)
    logged = _grouped((found.source_run_id, found) for found in models)
    parents = [run for run in runs if _PARENT not in run.data.tags and tag.TRAINING_KEY in run.data.tags]
    return tuple(_kept(run, below.get(run.info.run_id, []), logged) for run in parents)


def open_snapshots(tracking: Tracking, going: frozenset[tuple[str, int]] = frozenset()) -> frozenset[str]:
    """The snapshots of every run that is not closed, of whichever model, and of every registered version.

    Versions that are `going`, (model, number), are left out.
    """
    with answering(tracking.uri):
        experiments = [found.experiment_id for found in _all(tracking.client.search_experiments)]
        runs = _all(tracking.client.search_runs, experiments, "attributes.status = 'RUNNING'") if experiments else ()
        every = _all(tracking.client.search_model_versions)
        versions = [version for version in every if (version.name, int(version.version)) not in going]
        found = {run.data.tags.get(tag.SNAPSHOT) for run in runs} | {v.tags.get(tag.SNAPSHOT) for v in versions}
    return frozenset(digest for digest in found if digest)


def remove_run(tracking: Tracking, run: KeptRun) -> None:
    """Remove a run's files and mark it, its trials and its models as deleted. Doing it again finishes it.

    The run itself goes last: as long as it is there, somebody who was killed on the way is followed by another.
    """
    with answering(tracking.uri):
        for place in run.places:
            _remove_files(tracking, place)
        for model_id in run.models:
            tracking.client.delete_logged_model(model_id)
        for child in run.children:
            tracking.client.delete_run(child)
        tracking.client.delete_run(run.run_id)


def size_of(places: Iterable[str]) -> int | None:
    """Bytes below all these places; None where one is not on this machine."""
    folders = [_local(place) for place in places]
    if any(folder is None for folder in folders):
        return None
    files = (path for folder in folders if folder for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def _kept(run: Any, children: list[Any], logged: Mapping[str, list[Any]]) -> KeptRun:
    family = (run, *children)
    models = [found for member in family for found in logged.get(member.info.run_id, [])]
    ended = run.info.end_time
    return KeptRun(
        run_id=run.info.run_id,
        ended=datetime.fromtimestamp(ended / 1000, UTC) if ended and run.info.status != "RUNNING" else None,
        snapshot=run.data.tags.get(tag.SNAPSHOT, ""),
        children=tuple(child.info.run_id for child in children),
        models=tuple(found.model_id for found in models),
        places=tuple(found.artifact_location for found in models)
        + tuple(member.info.artifact_uri for member in family),
    )


def _remove_files(tracking: Tracking, place: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder = _local(place)
    if folder is not None and not folder.exists():
        return
    try:
        get_artifact_repository(place, tracking_uri=tracking.uri).delete_artifacts()
    except NotImplementedError:
        raise UnavailableError(f"{place}: MLflow cannot delete files there; remove them by hand") from None


def _local(place: str) -> Path | None:
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(place)


def _grouped(pairs: Iterable[tuple[str | None, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for key, value in pairs:
        if key is not None:
            found.setdefault(key, []).append(value)
    return found


def _found_models(tracking: Tracking) -> Any:
    return lambda experiments, page_token: tracking.client.search_logged_models(experiments, page_token=page_token)


def _all(search: Any, *asked: Any) -> Iterable[Any]:
    """Every page of a search."""
    token = None
    while True:
        page = search(*asked, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
