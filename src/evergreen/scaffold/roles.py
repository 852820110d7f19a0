"""What each column is for: a feature of some kind, the row's name, or better left out, and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from evergreen.scaffold.inspect import ColumnReport, TableReport
from evergreen.scaffold.leaks import find_leaks
from evergreen.scaffold.types import MANY_LEVELS

Use = Literal["numeric", "categorical", "frequency", "days_since", "out", "id"]

_ID_NAME = re.compile(r"(?i:(^|[_\s.-])(id|uuid|guid|idx|rowid)$|^index$|^unnamed: ?\d+$)|[a-z](ID|Id)$")
_NEARLY_ALL = 0.95


@dataclass(frozen=True)
class Role:
    """The use of one column; `why` is told where the column is left out or made into something else."""

    column: str
    use: Use
    why: str = ""


def assign_roles(table: TableReport, target: str, time: str | None, task: str) -> tuple[Role, ...]:
    """A role for every column but the target and the time column, in the order of the table."""
    others = [c for c in table.columns.values() if c.name not in (target, time)]
    first = {c.name: _by_itself(c, table) or _by_others(c, table, target, time) for c in others}
    open_ones = [name for name, role in first.items() if role is None]
    leaks = find_leaks(table.frame, target, task, open_ones)
    roles = [first[c.name] or _leak(c.name, leaks) or _feature(c, time) for c in others]
    return tuple(_one_id(roles))


def looks_like_id(name: str) -> bool:
    """Names of things that are counted or referred to, not measured.

    >>> [looks_like_id(name) for name in ("customerID", "id", "user_id", "Unnamed: 0", "paid", "humid", "bid")]
    [True, True, True, True, False, False, False]
    """
    return bool(_ID_NAME.search(name))


def _by_itself(c: ColumnReport, table: TableReport) -> Role | None:
    if not c.known:
        return Role(c.name, "out", "has no value in any row")
    if c.distinct == 1 and not c.nulls:
        return Role(c.name, "out", "has the same value in every row")
    if c.numeric and c.null_share > 0.99:
        return Role(c.name, "out", f"is empty in all but {c.known:,} rows")
    found = _identifier(c, table)
    if found is None and c.type == "text":
        return Role(c.name, "out", f"is free text ({c.distinct:,} values); derive something from it to use it")
    return found


def _identifier(c: ColumnReport, table: TableReport) -> Role | None:
    if table.rows < 20 or c.type in ("number", "boolean", "datetime"):
        return None
    if c.distinct == table.rows and (c.type != "integer" or _is_counter(c) or looks_like_id(c.name)):
        return Role(c.name, "id", "names each row once")
    if c.type in ("text", "category") and c.distinct >= _NEARLY_ALL * c.known and c.distinct > MANY_LEVELS:
        return Role(c.name, "out", f"is different in nearly every row ({c.distinct:,} values in {c.known:,} rows)")
    if looks_like_id(c.name) and c.distinct > max(10 * MANY_LEVELS, 0.05 * c.known):
        return Role(c.name, "out", f"is an identifier by its name and {c.distinct:,} values, some of them repeated")
    if looks_like_id(c.name) and c.distinct > 0.5 * c.known:
        return Role(c.name, "out", f"is an identifier by its name and {c.distinct:,} values in {c.known:,} rows")
    return None


def _is_counter(c: ColumnReport) -> bool:
    return c.low is not None and c.high is not None and c.high - c.low + 1 <= 1.1 * c.distinct


def _by_others(c: ColumnReport, table: TableReport, target: str, time: str | None) -> Role | None:
    for other in table.columns:
        if other == c.name:
            break
        if other != target and table.columns[other].type == c.type and table.frame[other].equals(table.frame[c.name]):
            return Role(c.name, "out", f"repeats {other} in every row")
    if time is not None and time in table.columns:
        return _by_time(c, table.frame[c.name], table.frame[time], time)
    return None


def _by_time(c: ColumnReport, values: pd.Series, times: pd.Series, time: str) -> Role | None:
    if c.numeric and c.distinct > 1 and says_the_same(values, times.dt.year):
        return Role(c.name, "out", f"tells the year of {time}, and the next year is one no model has seen")
    if c.type == "datetime" and (values > times).mean() > 0.5:
        return Role(c.name, "out", f"lies after {time} in most rows: it is not known yet when the row happens")
    return None


def says_the_same(values: pd.Series, part: pd.Series) -> bool:
    """True where each value stands with one part of a date and each part with one value."""
    pairs = pd.DataFrame({"value": np.asarray(values), "part": part.to_numpy()}).dropna().drop_duplicates()
    return len(pairs) > 1 and pairs["value"].is_unique and pairs["part"].is_unique


def _leak(name: str, leaks: dict[str, str]) -> Role | None:
    return Role(name, "out", f"suspected leak: {leaks[name]}") if name in leaks else None


def _feature(c: ColumnReport, time: str | None) -> Role:
    if c.type == "datetime":
        if time is None:
            return Role(c.name, "out", "is a date, and without data.time_column there is no moment to count days to")
        return Role(c.name, "days_since", f"days from {c.name} to the row's own time")
    if c.type == "integer" and looks_like_id(c.name):
        return Role(c.name, "categorical" if c.distinct <= MANY_LEVELS else "frequency", "numbers that name something")
    if c.numeric:
        return Role(c.name, "numeric")
    return Role(c.name, "categorical" if c.distinct <= MANY_LEVELS else "frequency", f"{c.distinct:,} levels")


def _one_id(roles: list[Role]) -> Iterator[Role]:
    """Only the first identifier names the rows."""
    taken = False
    for role in roles:
        yield Role(role.column, "out", role.why) if role.use == "id" and taken else role
        taken = taken or role.use == "id"
