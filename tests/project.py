"""A whole project in a temporary folder: a table, a spec, a home, and runs of it with or without Prefect."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.stages import assess, conclude, evaluate, promote, train
from evergreen.stages.load import load
from evergreen.stages.open import open_run, tracking_of
from evergreen.stages.run import Conclusion, Evidence, Job, Origin, Request
from evergreen.stages.track import find_twin, prepare_job, track
from evergreen.stages.turn import Turn, drop, take_turn
from evergreen.store.ledger import Ledger
from evergreen.training.handles import TrialResult
from evergreen.training.recipes import best, select

FIRST = datetime(2026, 4, 1, tzinfo=UTC)
SECOND = datetime(2026, 5, 1, tzinfo=UTC)
# What of the environment says where state lives: no test may reach for the real one.
ADDRESSES = ("EVERGREEN_SNAPSHOTS", "EVERGREEN_STORE_URL", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


def shoppers(days: int = 150, a_day: int = 12, seed: int = 3) -> pd.DataFrame:
    """Shoppers in order of time, of whom those who waited long and spent little leave; one label in 25 is noise."""
    draw = np.random.default_rng(seed)
    rows = days * a_day
    waited, spent = draw.normal(size=rows), draw.normal(size=rows)
    leaves = (waited - spent > 0) ^ (draw.random(rows) < 0.04)
    hours = np.arange(rows) * 24 // a_day
    return pd.DataFrame(
        {
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(hours, unit="h"),
            "waited": waited.round(4),
            "spent": spent.round(4),
            "plan": draw.choice(["basic", "plus", "pro"], rows),
            "leaves": np.where(leaves, "yes", "no"),
        }
    )


def tiny_spec(model: str) -> dict[str, Any]:
    """A spec over shoppers that is trained in a second."""
    return {
        "model": model,
        "task": "classification",
        "data": {
            "source": {"kind": "csv", "path": "table.csv"},
            "target": "leaves",
            "time_column": "at",
            "label_delay": "7d",
        },
        "schema": {
            "rows": {"at_least": 100},
            "columns": {
                "waited": {"type": "number", "min": -10, "max": 10, "max_null_share": 0.05},
                "spent": {"type": "number", "min": -10, "max": 10, "max_null_share": 0.05},
            },
        },
        "features": {"numeric": ["waited", "spent"], "categorical": ["plan"]},
        "training": {
            "split": {"kind": "time", "holdout": "14d"},
            "cross_validation": {"folds": 2},
            "metric": "accuracy",
            "candidates": [{"kind": "logistic_regression", "grid": {"C": [0.1, 1.0]}}],
        },
        "drift": {"min_rows": 100, "max_share": 0.5},
        "gates": {
            "absolute": {"accuracy": {"at_least": 0.8}},
            "against_champion": {"metric": "accuracy", "margin": 0.05, "resamples": 200},
        },
    }


Visit = Callable[[str], None]


def drive(spec: str, as_of: datetime, settings: Settings, reason: Reason, at: Visit, **options: bool) -> Conclusion:
    """A run through the stages in the order of flows/retrain.py, without Prefect. `at` is called before each stage."""
    request, now = Request(spec, as_of, reason, **options), datetime.now(UTC)
    with take_turn(request, Origin("tester"), settings, now) as turn:
        return drop(turn, settings, now) if turn.dropped else make_run(turn, settings, at, now)


def make_run(turn: Turn, settings: Settings, at: Visit, now: datetime) -> Conclusion:
    run = open_run(turn.request, turn.origin, settings, now)
    at("load")
    job = prepare_job(run, load(run, settings), settings)
    evidence = look_at_data(job, settings, at)
    with track(job, evidence, settings) as job:
        if not evidence.decision:
            evidence = find_challenger(job, evidence, settings, at)
            at("evaluate")
            evidence = evaluate.judge_challenger(job, evaluate.evaluate_models(job, evidence, settings), settings)
        if evidence.passed_gate:
            at("register")
            evidence = promote.register(job, evidence, settings, now)
            at("smoke")
            evidence = promote.smoke(evidence, settings)
        at("record")
        entry = promote.record(job, evidence, settings, now)
        if evidence.decided(DecisionKind.PROMOTE):
            at("promote")
            promote.promote(entry, settings, now)
        at("conclude")
        return conclude.conclude(job, evidence, entry, settings)


def look_at_data(job: Job, settings: Settings, at: Visit) -> Evidence:
    at("validate")
    evidence = assess.validate(job, settings)
    if not evidence.decision:
        at("drift")
        evidence = assess.assess_drift(job, evidence, settings)
    return evidence if evidence.decision else find_twin(job, evidence, settings)


def find_challenger(job: Job, evidence: Evidence, settings: Settings, at: Visit) -> Evidence:
    training, rows = job.spec.training, train.split(job)
    search = train.plan_search(job, rows, settings)
    folds = {encoding: train.encode(job, rows, encoding) for encoding in {r.encoding for r in search.recipes}}
    trials: list[TrialResult] = []
    survivors = search.recipes
    for rung in search.rungs:
        results = []
        for recipe in survivors:
            at(f"trial C={recipe.params.get('C')}")
            results.append(train.try_recipe(job, recipe, folds[recipe.encoding], rung.share))
        trials += results
        survivors = select(results, rung, training.metric)
    at("fit")
    fitted = train.fit_recipe(job, rows, best(results, training.metric).recipe)
    found = evidence.add(split=rows, trials=tuple(trials), fitted=fitted)
    at("log")
    return train.log_challenger(job, found, {}, settings)


@dataclass(frozen=True)
class Project:
    """A folder with `configs/<model>.yaml`, `table.csv` and a home, and what tests do with them."""

    folder: Path
    model: str = "tiny"

    @property
    def settings(self) -> Settings:
        addresses = {"EVERGREEN_HOME": str(self.folder / "home"), "EVERGREEN_CONFIGS": str(self.folder / "configs")}
        return Settings.from_environment(addresses)

    @property
    def table(self) -> Path:
        return self.folder / "table.csv"

    @property
    def spec_file(self) -> Path:
        return self.folder / "configs" / f"{self.model}.yaml"

    def write(self, frame: pd.DataFrame) -> None:
        """Replace the table."""
        frame.to_csv(self.table, index=False)

    def change(self, **changes: Any) -> None:
        """Change the spec: `training__metric="f1"`; None drops the key."""
        spec = yaml.safe_load(self.spec_file.read_text()) if self.spec_file.exists() else {}
        for place, value in (changes or {}).items():
            *path, last = place.split("__")
            part = spec
            for step in path:
                part = part.setdefault(step, {})
            part.pop(last, None) if value is None else part.__setitem__(last, value)
        self.spec_file.write_text(yaml.safe_dump(spec, sort_keys=False))

    def create(self, frame: pd.DataFrame) -> "Project":
        """Fill an empty folder with a table and its spec."""
        self.spec_file.parent.mkdir(parents=True, exist_ok=True)
        self.write(frame)
        self.spec_file.write_text(yaml.safe_dump(tiny_spec(self.model), sort_keys=False))
        return self

    def run(
        self,
        as_of: datetime = FIRST,
        reason: Reason = Reason.MANUAL,
        at: Visit = lambda stage: None,
        **options: bool,
    ) -> Conclusion:
        """A run through the stages, without Prefect. `at` is called with the name of each stage before it."""
        return drive(self.model, as_of, self.settings, reason, at, **options)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.store_url)

    @property
    def registry(self) -> Registry:
        return Registry(tracking_of(self.settings))

    def champion(self) -> int | None:
        return self.registry.champion_version(self.model)

    def decisions(self) -> list[str]:
        """Kinds of all decisions, oldest first."""
        return [entry.kind.value for entry in self.ledger.entries(self.model)][::-1]

    def mlflow_runs(self) -> list[Any]:
        """Every MLflow run of the model, children included, oldest first."""
        client = tracking_of(self.settings).client
        experiment = client.get_experiment_by_name(self.model)
        if experiment is None:
            return []
        return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))

    def parents(self) -> list[Any]:
        """MLflow runs of trainings, without their trials."""
        return [run for run in self.mlflow_runs() if "mlflow.parentRunId" not in run.data.tags]

    def state(self) -> dict[str, Any]:
        """What a run may change for good: the registry's versions and aliases, the ledger, the champion history."""
        return {
            "versions": self.registry.versions(self.model),
            "aliases": self.registry.aliases(self.model),
            "decisions": [entry.id for entry in self.ledger.entries(self.model)],
            "crowns": self.ledger.history(self.model),
        }

    def production(self) -> dict[str, Any]:
        """What serving depends on: all of the state but decisions that had no effect."""
        return {name: value for name, value in self.state().items() if name != "decisions"}

    def files(self, *folders: str) -> dict[str, int]:
        """Files below folders of the home, with the time they were last written."""
        roots = [self.settings.home / folder for folder in folders]
        return {str(path): path.stat().st_mtime_ns for root in roots for path in root.rglob("*") if path.is_file()}


def copy_project(template: Project, folder: Path) -> Project:
    """A project elsewhere, with all its state: MLflow's database names every place it keeps files in."""
    shutil.copytree(template.folder, folder)
    with closing(sqlite3.connect(folder / "home" / "mlflow.db")) as connection, connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in tables:
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info('{name}')").fetchall():
                if kind.startswith(("VARCHAR", "TEXT")):
                    move = f'UPDATE "{name}" SET "{column}" = replace("{column}", ?, ?) WHERE "{column}" LIKE ?'
                    connection.execute(move, (str(template.folder), str(folder), f"%{template.folder}%"))
    return Project(folder, template.model)
