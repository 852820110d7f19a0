"""What is to be predicted: the task, the classes, and the metric that suits them."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from evergreen.errors import DataError, UserError
from evergreen.scaffold.inspect import ColumnReport, TableReport
from evergreen.scaffold.types import MANY_LEVELS

FEW_CLASSES = 10
_IMBALANCED = 0.3
# A class wants five rows at least.
_ROWS_A_CLASS = 0.2


@dataclass(frozen=True)
class Target:
    """The target column. `classes` maps each class to its share, most frequent first; empty for a regression."""

    name: str
    task: Literal["classification", "regression"]
    metric: str
    why: str
    rows: int
    classes: dict[str, float]
    low: float | None = None

    @property
    def rules(self) -> dict[str, Any]:
        """Its entry under `schema.columns`."""
        if self.task == "classification":
            return {"type": "category", "allowed": sorted(self.classes)}
        return {"type": "number", "min": 0} if self.low is not None and self.low >= 0 else {"type": "number"}


def require_column(name: str, present: Iterable[str], what: str) -> None:
    """Raise UserError, with the names that are close, when a table has no such column."""
    names = list(present)
    if name in names:
        return
    folded = {n.casefold(): n for n in reversed(names)}
    close = [folded[n] for n in difflib.get_close_matches(name.casefold(), folded, n=3)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(names)}"
    raise UserError(f"{what}: the table has no column {name!r}; {hint}")


def describe_target(table: TableReport, name: str) -> Target:
    """What kind of target a column is. Raises UserError when nothing can be learnt for it."""
    require_column(name, table.columns, "--target")
    c = table.columns[name]
    if c.distinct < 2:
        held = "has one value" if c.distinct else "is empty"
        raise DataError(f"--target: {name} {held} in all {c.rows:,} rows; there is nothing to predict")
    if c.type == "datetime":
        raise DataError(f"--target: {name} holds dates; predict a number of days instead: add such a column first")
    return _classification(table, c) if _has_classes(c) else _regression(c)


def _has_classes(c: ColumnReport) -> bool:
    if not c.numeric:
        return True
    few = c.type == "integer" and c.distinct <= min(FEW_CLASSES, c.known * _ROWS_A_CLASS)
    return few or c.type == "boolean" or c.distinct == 2


def _classification(table: TableReport, c: ColumnReport) -> Target:
    if c.distinct > min(MANY_LEVELS, c.known * _ROWS_A_CLASS):
        raise DataError(
            f"--target: {c.name} has {c.distinct:,} different values in {c.known:,} rows: too many to be classes; "
            "choose another column, or group its values"
        )
    counts = table.texts(c.name).value_counts(normalize=True)
    classes = {str(level): float(share) for level, share in counts[counts > 0].items()}
    rarest = min(classes.values())
    if len(classes) == 2 and rarest < _IMBALANCED:
        metric, why = "roc_auc", f"classes are unequal ({rarest:.1%} are the smaller one), so ranking is what counts"
    else:
        metric, why = "f1_weighted", "every class counts by its share"
    return Target(c.name, "classification", metric, why, c.known, classes)


def _regression(c: ColumnReport) -> Target:
    return Target(c.name, "regression", "mae", f"the mean error in units of {c.name}", c.known, {}, c.low)
