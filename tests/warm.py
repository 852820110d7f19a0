"""Processes that are forked from one that has imported what they need: as fresh as new ones, without their start."""

import gc
import importlib
import multiprocessing
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# Nothing of a project is among them.
NEEDED = (
    "alembic.command",
    "evergreen.data.load",
    "evergreen.drift.assess",
    "evergreen.evaluation.plots",
    "evergreen.report.card",
    "evergreen.report.page",
    "evergreen.stages.conclude",
    "evergreen.stages.promote",
    "evergreen.stages.train",
    "evergreen.validation.validate",
    "fsspec.implementations.local",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.tracking",
    "mlflow.types.responses",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "skops.io",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neural_network",
    "tests.faults.child",
    "tests.project",
)


@cache
def forks() -> Any:
    """Where such processes come from; the first one takes as long as all the imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__ + "ed"])
    return context


def warm() -> None:
    """Import everything, and keep the pages of it shared: collecting would write to them all."""
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches
    from sqlalchemy.orm import configure_mappers

    for name in NEEDED:
        importlib.import_module(name)
    configure_mappers()
    # The first model that a process logs has MLflow list every file of what is installed.
    warn_dependency_requirement_mismatches(["mlflow"])
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Smoke:
    """Stands for `subprocess` where smoke tests are made, whose two seconds of imports decide nothing."""

    TimeoutExpired = subprocess.TimeoutExpired

    def run(
        self, command: Sequence[str], *, env: Mapping[str, str], timeout: float, **_: Any
    ) -> "subprocess.CompletedProcess[str]":
        folder, digest = command[-2:]
        with tempfile.TemporaryDirectory() as scratch:
            said = Path(scratch) / "out", Path(scratch) / "err"
            process = forks().Process(target=_smoke, args=(folder, digest, *said))
            process.start()
            process.join(timeout)
            if process.is_alive():
                process.kill()
                process.join()
                raise subprocess.TimeoutExpired(command, timeout)
            out, err = (path.read_text() for path in said)
            return subprocess.CompletedProcess(command, process.exitcode, out, err)


def _smoke(folder: str, digest: str, out: Path, err: Path) -> None:
    from evergreen.registry.smoke import _main

    with out.open("w") as sys.stdout, err.open("w") as sys.stderr:
        try:
            _main(folder, digest)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            raise
