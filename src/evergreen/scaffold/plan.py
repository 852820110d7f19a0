"""Everything a spec will say about a table, decided before a line is written."""

from dataclasses import dataclass
from typing import Any

from evergreen.errors import UserError
from evergreen.scaffold.inspect import TableReport
from evergreen.scaffold.period import Holdout, calendar_features, choose_holdout, suspect_time
from evergreen.scaffold.roles import Role, assign_roles, looks_like_id
from evergreen.scaffold.target import Target, describe_target, require_column


@dataclass(frozen=True)
class SpecPlan:
    """What the spec of `model` will be. `suspected` is True where nobody named the time column."""

    model: str
    table: TableReport
    target: Target
    time: str | None
    suspected: bool
    holdout: Holdout | None
    roles: tuple[Role, ...]
    derived: tuple[dict[str, Any], ...]

    @property
    def id_column(self) -> str | None:
        """The column that names each row once."""
        return next((r.column for r in self.roles if r.use == "id"), None)

    @property
    def repeated_ids(self) -> list[str]:
        """Identifiers that several rows share."""
        return [r.column for r in self.left_out if looks_like_id(r.column) and self._repeats(r.column)]

    def _repeats(self, name: str) -> bool:
        column = self.table.columns[name]
        return 1 < column.distinct < column.known

    @property
    def left_out(self) -> tuple[Role, ...]:
        """Columns that no feature uses, with the reasons."""
        return tuple(r for r in self.roles if r.use in ("out", "id"))

    @property
    def numeric(self) -> list[str]:
        """Raw numbers, then derived columns."""
        return [r.column for r in self.roles if r.use == "numeric"] + [d["name"] for d in self.derived]

    @property
    def categorical(self) -> list[str]:
        """Categories that are encoded as such."""
        return [r.column for r in self.roles if r.use == "categorical"]


def plan_spec(model: str, table: TableReport, target: str, time: str | None = None) -> SpecPlan:
    """Decide what a spec says. Raises UserError when it cannot become a working one."""
    found = describe_target(table, target)
    _require_time(table, target, time)
    chosen = time or suspect_time(table, target)
    holdout = None if chosen is None else choose_holdout(table.frame[chosen], table.frame[target].notna())
    roles = assign_roles(table, target, chosen, found.task)
    plan = SpecPlan(model, table, found, chosen, time is None, holdout, roles, tuple(_derived(table, roles, chosen)))
    if not (plan.numeric or plan.categorical):
        reasons = "; ".join(f"{r.column} {r.why}" for r in plan.left_out) or "the target is its only column"
        raise UserError(f"{table.source.path}: no column is left to predict {target} from: {reasons}")
    return plan


def _require_time(table: TableReport, target: str, time: str | None) -> None:
    if time is None:
        return
    require_column(time, table.columns, "--time")
    if time == target:
        raise UserError(f"--time: {time} is the target")
    if table.columns[time].type != "datetime":
        dates = ", ".join(c.name for c in table.columns.values() if c.type == "datetime") or "none of its columns"
        raise UserError(f"--time: {time} holds {table.columns[time].type} values and no dates; dates are in: {dates}")


def _derived(table: TableReport, roles: tuple[Role, ...], time: str | None) -> list[dict[str, Any]]:
    used = [r.column for r in roles if r.use in ("numeric", "categorical")]
    found: list[dict[str, Any]] = [] if time is None else list(calendar_features(table, time, used))
    for role in roles:
        if role.use == "days_since":
            found.append({"name": f"days_since_{role.column}", "kind": "days_since", "of": role.column})
        if role.use == "frequency":
            found.append({"name": f"{role.column}_frequency", "kind": "frequency", "of": role.column})
    return found
