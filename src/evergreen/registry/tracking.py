"""Runs in MLflow: an experiment a model, a run a training, a child run a trial."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from evergreen.address import sqlite_file
from evergreen.data.snapshot import Snapshot
from evergreen.errors import IntegrityError
from evergreen.registry import provenance as tag
from evergreen.registry.answers import answering, is_served, probe, set_manners
from evergreen.registry.handles import RunHandle
from evergreen.store.lock import exclusive

_BATCH = 100  # the most parameters, and the most tags, that MLflow takes at once


@dataclass(frozen=True)
class Tracking:
    """MLflow at an address. Building one touches nothing; neither the working directory nor MLflow's globals matter.

    `artifacts` is where experiments in a database keep their files; a tracking server has its own place unless this
    is a URL. Every method raises UnavailableError where MLflow does not answer.
    """

    uri: str
    artifacts: str

    def prepare(self) -> None:
        """Create MLflow's database and the folder of artifacts, where they are local; else ask whether it answers."""
        with answering(self.uri):
            if "://" not in self.artifacts:
                Path(self.artifacts).mkdir(parents=True, exist_ok=True)
            self.client.search_experiments(max_results=1)

    @cached_property
    def client(self) -> Any:
        """MLflow's client for this address, made when first asked for: for this room only."""
        import logging

        probe(self.uri)
        set_manners()
        # Whoever comes first to an SQLite file migrates it, and two that do it at once break it for good.
        file = sqlite_file(self.uri)
        turn = nullcontext() if file is None else exclusive(file.with_name(f"{file.name}.lock"))
        with turn, answering(self.uri):
            from mlflow import MlflowClient

            # It logs what it raises, with a traceback; the error that we make of it says enough.
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
            return client

    def start_run(self, model: str, name: str, tags: Mapping[str, str]) -> RunHandle:
        """Open a run in the model's experiment, which is created if it is the first one."""
        with answering(self.uri):
            return self._create_run(self._experiment(model), name, tags)

    def start_child(self, parent: RunHandle, name: str, tags: Mapping[str, str]) -> RunHandle:
        """Open a run below another one."""
        with answering(self.uri):
            return self._create_run(parent.experiment_id, name, {**tags, "mlflow.parentRunId": parent.run_id})

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """Close a run: FINISHED, FAILED or KILLED."""
        with answering(self.uri):
            self.client.set_terminated(run_id, status=status)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float | None], step: int = 0) -> None:
        """Log what could be measured; None is left out."""
        with answering(self.uri):
            from mlflow.entities import Metric
            from mlflow.utils.time import get_current_time_millis

            now = get_current_time_millis()
            values = [Metric(name, float(value), now, step) for name, value in metrics.items() if value is not None]
            for batch in _batches(values):
                self.client.log_batch(run_id, metrics=batch)

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters as text. A parameter that was logged with another value is refused."""
        with answering(self.uri):
            from mlflow.entities import Param

            for batch in _batches(Param(name, str(value)) for name, value in params.items()):
                self.client.log_batch(run_id, params=batch)

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, over the ones of the same name."""
        with answering(self.uri):
            from mlflow.entities import RunTag

            for batch in _batches(RunTag(name, value) for name, value in tags.items()):
                self.client.log_batch(run_id, tags=batch)

    def log_artifacts(self, run_id: str, paths: Iterable[str | Path], folder: str | None = None) -> None:
        """Copy files, and folders under their own name, into the run's artifacts."""
        with answering(self.uri):
            for path in paths:
                self.client.log_artifact(run_id, str(path), folder)

    def log_dataset(self, run_id: str, snapshot: Snapshot, context: str = "training") -> None:
        """Link the run to its snapshot. MLflow keeps 36 characters of a digest; the tag has all of it."""
        with answering(self.uri):
            from mlflow.data.http_dataset_source import HTTPDatasetSource
            from mlflow.data.meta_dataset import MetaDataset
            from mlflow.entities import DatasetInput, InputTag

            source = HTTPDatasetSource(url=snapshot.path)
            dataset = MetaDataset(source, name="snapshot", digest=snapshot.digest[:36])._to_mlflow_entity()
            self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])
            self.client.set_tag(run_id, tag.SNAPSHOT, snapshot.digest)

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        with answering(self.uri):
            return dict(self.client.get_run(run_id).data.tags)

    def find_unfinished(self, model: str, training_key: str) -> tuple[str, ...]:
        """Runs of this training that nobody closed, trials among them, newest first: running now, or killed."""
        with answering(self.uri):
            experiment = self.client.get_experiment_by_name(model)
            if experiment is None:
                return ()
            rule, newest_first = "attributes.status = 'RUNNING'", ["attributes.start_time DESC"]
            found = self.client.search_runs([experiment.experiment_id], rule, order_by=newest_first)
            own = {run.info.run_id for run in found if run.data.tags.get(tag.TRAINING_KEY) == training_key}
            family = ((run.info.run_id, run.data.tags.get("mlflow.parentRunId")) for run in found)
            return tuple(run_id for run_id, parent in family if not own.isdisjoint((run_id, parent)))

    def running(self, model: str, dry_since: datetime | None = None) -> tuple[str, ...]:
        """Every run of a model that nobody closed, trials among them; without dry runs begun at or after a moment."""
        with answering(self.uri):
            experiment = self.client.get_experiment_by_name(model)
            if experiment is None:
                return ()
            found = self.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
            alive = {run.info.run_id for run in found if dry_since and _is_dry(run) and _began(run) >= dry_since}
            family = ((run.info.run_id, run.data.tags.get("mlflow.parentRunId")) for run in found)
            return tuple(own for own, parent in family if alive.isdisjoint((own, parent)))

    def download(self, uri: str, folder: Path) -> Path:
        """Copy the artifact of `models:/<id>` or `models:/<name>/<version>` into a folder.

        Raises IntegrityError where the registry knows the model and its files are gone.
        """
        import mlflow.artifacts

        name, _, version = uri.removeprefix("models:/").partition("/")
        with answering(self.uri):
            if version:
                location = self.client.get_model_version_download_uri(name, version)
            else:
                location = self.client.get_logged_model(name).artifact_location
            # A server that keeps the files itself says mlflow-artifacts:/…, with one slash.
            if not urlsplit(location).scheme and not Path(location).exists():
                raise IntegrityError(f"{uri}: its files are gone from {location}; restore them, or train again")
            path = Path(mlflow.artifacts.download_artifacts(location, dst_path=str(folder), tracking_uri=self.uri))
        if not (path / "MLmodel").exists():
            raise IntegrityError(f"{uri}: its files are gone from {location}; restore them, or train again")
        return path

    def fetch(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy one artifact of a run into a folder. Raises IntegrityError where the run has none of that name."""
        import mlflow.artifacts

        with answering(self.uri):
            location = self.client.get_run(run_id).info.artifact_uri
            try:
                found = mlflow.artifacts.download_artifacts(
                    f"{location}/{name}", dst_path=str(folder), tracking_uri=self.uri
                )
            except FileNotFoundError:
                raise IntegrityError(f"MLflow run {run_id}: {name} is gone from {location}; restore it") from None
        return Path(found)

    def url(self, run: RunHandle) -> str | None:
        """The page of a run; None where no tracking server shows one."""
        if not is_served(self.uri):
            return None
        parts = urlsplit(self.uri)
        host, fragment = parts.netloc.rpartition("@")[2], f"/experiments/{run.experiment_id}/runs/{run.run_id}"
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", fragment))

    def _create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> RunHandle:
        run = self.client.create_run(experiment_id, run_name=name, tags=dict(tags))
        handle = RunHandle(run.info.run_id, experiment_id)
        return RunHandle(handle.run_id, experiment_id, self.url(handle))

    def _experiment(self, model: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(model)
        if found is None:
            try:
                return str(self.client.create_experiment(model, artifact_location=self._artifact_location(model)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                # Another run was first.
                found = self.client.get_experiment_by_name(model)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _artifact_location(self, model: str) -> str | None:
        if "://" in self.artifacts:
            return f"{self.artifacts.rstrip('/')}/{model}"
        return None if is_served(self.uri) else str(Path(self.artifacts).absolute() / model)


def _is_dry(run: Any) -> bool:
    return run.data.tags.get("evergreen.dry_run") == "true"


def _began(run: Any) -> datetime:
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC)


def _batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    iterator = iter(values)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
