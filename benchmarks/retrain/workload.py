"""What all contestants are given: the table, the moments, the candidates, the folds. Imports nothing of Evergreen."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

NUMERIC = [f"n{i}" for i in range(20)]
CATEGORICAL = [f"c{i}" for i in range(10)]
INPUTS = [*NUMERIC, *CATEGORICAL]
TIME, TARGET = "event_time", "target"
COLUMNS = [*INPUTS, TIME, TARGET]
CATEGORIES = [f"v{i:02d}" for i in range(12)]
CLASSES = ["no", "yes"]
LOW, HIGH, NULL_SHARE = -10.0, 10.0, 0.1

MODEL = "wide"
# The champion is made of the rows up to the first moment; what is measured is the run at the second, with all rows.
BEFORE, NOW = datetime(2025, 10, 1), datetime(2026, 1, 1)  # noqa: DTZ001 - columns hold naive UTC
HOLDOUT_DAYS, FOLDS, SEED = 60, 3, 42
METRIC = "roc_auc"
TREES = {"max_iter": 100, "early_stopping": False}
LINEAR_GRID = [{"C": 1.0}]
# From so many rows on the grid of trees is halved, so that the naive script ends within a coffee break.
MANY_ROWS = 500_000
REPORT_ROWS, REFERENCE_ROWS, IMPORTANCE_ROWS, REQUESTS = 5_000, 50_000, 1_000, 100
RESAMPLES, RANKED_ROWS, FEWEST_RESAMPLES = 1_000, 40_000_000, 200


@dataclass(frozen=True)
class Place:
    """Folders of one size of table. `home` is the state that a contestant's first run leaves and its second finds."""

    root: Path

    @property
    def rows(self) -> int:
        return int(self.root.name)

    @property
    def parquet(self) -> Path:
        return self.root / "wide.parquet"

    @property
    def csv(self) -> Path:
        return self.root / "wide.csv"

    @property
    def configs(self) -> Path:
        return self.root / "configs"

    def home(self, contestant: str) -> Path:
        return self.root / contestant


def tree_grid(rows: int) -> list[dict[str, float]]:
    """The recipes of boosted trees."""
    leaves = (31,) if rows >= MANY_ROWS else (15, 31)
    return [{"learning_rate": rate, "max_leaf_nodes": most} for rate in (0.05, 0.1) for most in leaves]


def resamples(rows: int) -> int:
    """Fewer where rows are many, as the flow has it: nobody wins by drawing less."""
    return max(FEWEST_RESAMPLES, min(RESAMPLES, RANKED_ROWS // rows))


def spec(place: Place) -> str:
    """The same workload as a spec of Evergreen."""
    numbers = [f"    {n}: {{type: number, min: {LOW}, max: {HIGH}, max_null_share: {NULL_SHARE}}}" for n in NUMERIC]
    labels = [f"    {c}: {{type: category, allowed: [{', '.join(CATEGORIES)}]}}" for c in CATEGORICAL]
    rates, leaves = (
        sorted({point[name] for point in tree_grid(place.rows)}) for name in ("learning_rate", "max_leaf_nodes")
    )
    return f"""model: {MODEL}
task: classification
data:
  source: {{kind: parquet, path: {place.parquet}}}
  target: {TARGET}
  time_column: {TIME}
schema:
  rows: {{at_least: 1000}}
  freshness: 2d
  min_class_share: 0.05
  columns:
{chr(10).join(numbers + labels)}
features:
  numeric: [{", ".join(NUMERIC)}]
  categorical: [{", ".join(CATEGORICAL)}]
training:
  split: {{kind: time, holdout: {HOLDOUT_DAYS}d}}
  cross_validation: {{folds: {FOLDS}}}
  metric: {METRIC}
  seed: {SEED}
  candidates:
    - {{kind: logistic_regression, grid: {{C: {[point["C"] for point in LINEAR_GRID]}}}}}
    - kind: hist_gradient_boosting
      params: {{max_iter: {TREES["max_iter"]}, early_stopping: false}}
      grid: {{learning_rate: {rates}, max_leaf_nodes: {leaves}}}
drift: {{sample: {REFERENCE_ROWS}}}
gates:
  absolute: {{{METRIC}: {{at_least: 0.6}}}}
  against_champion: {{metric: {METRIC}, margin: 0.02, resamples: {RESAMPLES}}}
"""
