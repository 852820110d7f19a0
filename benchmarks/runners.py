"""What a runner costs: threads, processes, Dask and Ray on the same small search, in turns.

Each runner is started, encodes the folds (its first task), scores twenty recipes, and is stopped; every one does so
once a round, in the same process, against a Prefect server that runs already. Prints Markdown: wall seconds, and
ratios to threads in the same round.

    OMP_NUM_THREADS=1 python benchmarks/runners.py --rounds 3
    OMP_NUM_THREADS=1 python benchmarks/runners.py --rounds 3 --dask tcp://127.0.0.1:8786 --ray 127.0.0.1:6379
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
TRIALS, FOLDS = 20, 3


@dataclass(frozen=True)
class Cost:
    """Wall seconds: until the first task is done, of one trial among many, and of the end."""

    start: float
    trial: float
    stop: float


def make_job(settings: Any) -> Any:
    """The shipped model of churn with twenty quick recipes, up to its split."""
    import yaml

    from evergreen.gate.decision import Reason
    from evergreen.stages.load import load
    from evergreen.stages.open import open_run
    from evergreen.stages.run import Origin, Request
    from evergreen.stages.track import prepare_job

    spec = yaml.safe_load((REPOSITORY / "configs" / "churn.yaml").read_text())
    grid = {"C": [round(0.01 * 1.5**step, 4) for step in range(TRIALS)]}
    spec["training"]["candidates"] = [{"kind": "logistic_regression", "grid": grid}]
    spec["training"]["cross_validation"] = {"folds": FOLDS}
    settings.configs.mkdir(parents=True)
    (settings.configs / "churn.yaml").write_text(yaml.safe_dump(spec))
    request = Request("churn", datetime(2026, 1, 1, tzinfo=UTC), Reason.MANUAL)
    run = open_run(request, Origin("benchmark"), settings, datetime.now(UTC))
    return prepare_job(run, load(run, settings), settings)


def measure(job: Any, folder: Path) -> Cost:
    """One search in a folder of its own, so that nothing is found from before."""
    from evergreen.stages import train
    from evergreen.training.recipes import plan
    from tasks.choose_runner import choose_runner
    from tasks.cross_validate_recipe import cross_validate_recipe
    from tasks.encode_rows import encode_rows

    job = replace(job, folder=str(folder))
    split, recipes = train.split(job), plan(job.spec.training, job.spec.task).recipes
    marks = [time.perf_counter()]
    with choose_runner(job) as runner:
        parameters = {"job": job, "split": split, "encoding": recipes[0].encoding}
        folds = runner.submit(encode_rows, parameters).result()
        marks.append(time.perf_counter())
        futures = [
            runner.submit(cross_validate_recipe, {"job": job, "recipe": recipe, "folds": folds, "share": 1.0})
            for recipe in recipes
        ]
        for future in futures:
            future.result()
        marks.append(time.perf_counter())
    marks.append(time.perf_counter())
    return Cost(marks[1] - marks[0], (marks[2] - marks[1]) / len(recipes), marks[3] - marks[2])


def in_flow(job: Any, folder: Path) -> Cost:
    """The measurement inside a flow run, where the flow's searches are."""
    from prefect import flow

    @flow(name="measure")
    def measure_runner() -> Any:
        return {"cost": measure(job, folder)}

    return measure_runner()["cost"]


def with_search(job: Any, **search: Any) -> Any:
    """The same job, tried elsewhere."""
    training = job.spec.training.model_copy(update={"search": job.spec.training.search.model_copy(update=search)})
    return replace(job, run=replace(job.run, spec=job.spec.model_copy(update={"training": training})))


def compare(job: Any, contestants: dict[str, dict[str, Any]], rounds: int, home: Path) -> dict[str, list[Cost]]:
    """Costs of every runner, once a round; the first round only warms up."""
    measured: dict[str, list[Cost]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, search in contestants.items():
            folder = home / "work" / f"{turn}-{name.replace(' ', '-')}"
            cost = in_flow(with_search(job, **search), folder)
            print(turn, name, cost, file=sys.stderr)
            if turn:
                measured[name].append(cost)
    return measured


def table(measured: dict[str, list[Cost]]) -> str:
    """One row a runner: medians, and in brackets the median of the ratios to threads in the same round."""
    lines = ["| runner | start and first task, s | one trial, s | stop, s |", "| --- | ---: | ---: | ---: |"]
    for name, costs in measured.items():
        cells = []
        for part in ("start", "trial", "stop"):
            values = [getattr(cost, part) for cost in costs]
            pairs = zip(values, (getattr(cost, part) for cost in measured["threads"]), strict=True)
            ratio = statistics.median(value / max(base, 1e-3) for value, base in pairs)
            cells.append(f"{statistics.median(values):.2f}" + ("" if part == "stop" else f" ({ratio:.1f})"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dask", help="address of a Dask scheduler that runs already")
    parser.add_argument("--ray", help="address of a Ray cluster that runs already")
    asked = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    contestants: dict[str, dict[str, Any]] = {
        name: {"runner": name, "workers": asked.workers} for name in ("threads", "processes", "dask", "ray")
    }
    contestants |= {
        f"{name} at an address": {"runner": name, "address": address}
        for name, address in (("dask", asked.dask), ("ray", asked.ray))
        if address
    }
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"EVERGREEN_HOME": f"{home}/home", "EVERGREEN_CONFIGS": f"{home}/configs"}
        from evergreen.cli.launch import environment
        from evergreen.cli.server import start_server
        from evergreen.settings import Settings

        settings = Settings.from_environment()
        with environment(settings):
            start_server(settings)()
            print(table(compare(make_job(settings), contestants, asked.rounds, Path(home))))


if __name__ == "__main__":
    main()
