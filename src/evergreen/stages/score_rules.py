"""Are the rows that are to be scored what the spec says of them?"""

import logging
from collections.abc import Iterator

from evergreen.checks import Check, Outcome
from evergreen.data.chunks import read_chunks
from evergreen.data.snapshot import Snapshot
from evergreen.errors import DataError
from evergreen.stages.scorer import Scorer
from evergreen.validation.rules import ColumnRule

log = logging.getLogger("evergreen.score_rules")

_SHOWN = 5


def require_rules(scorer: Scorer, snapshot: Snapshot, chunk_rows: int) -> None:
    """Hold the rows against the spec's rules for the columns that are read. Raises DataError where one is broken.

    Rules on labels and on how many rows a training needs do not apply.
    """
    broken = []
    for strict, check in _checks(scorer, snapshot, chunk_rows):
        if check.outcome is not Outcome.PASS:
            log.warning("validate    %s %s: %s", check.outcome, check.name, check.why)
            broken += [check] if strict else []
    if broken:
        shown = "".join(f"\n  {check.name}: {check.why}" for check in broken[:_SHOWN])
        more = f"\n  and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise DataError(f"{scorer.spec.model}: the rows break the spec's rules, and none is scored:{shown}{more}")


def _checks(scorer: Scorer, snapshot: Snapshot, chunk_rows: int) -> Iterator[tuple[bool, Check]]:
    """Every check, and whether it stops the scoring."""
    from evergreen.validation.columns import check_types
    from evergreen.validation.rules import compile_rules

    table = scorer.spec.table
    yield from ((True, check) for check in check_types(snapshot, table))
    rules = [rule for rule in compile_rules(table) if rule.column in scorer.kept]
    yield from ((True, check) for check in _whole(scorer, snapshot, [r for r in rules if r.kind == "unique"]))
    yield from _by_chunk(scorer, snapshot, [rule for rule in rules if rule.kind != "unique"], chunk_rows)


def _whole(scorer: Scorer, snapshot: Snapshot, rules: list[ColumnRule]) -> Iterator[Check]:
    """What no chunk can tell: is a value there twice? Such a column is read whole."""
    from evergreen.data.frame import read_snapshot
    from evergreen.validation.columns import check_rule
    from evergreen.validation.table import check_unique_key

    for rule in rules:
        yield check_rule(rule, read_snapshot(snapshot.path, [rule.column])[rule.column])
    key = scorer.spec.table.unique_key
    if key and set(key) <= set(scorer.kept):
        yield from check_unique_key(read_snapshot(snapshot.path, list(key)), key)


def _by_chunk(
    scorer: Scorer, snapshot: Snapshot, rules: list[ColumnRule], chunk_rows: int
) -> Iterator[tuple[bool, Check]]:
    from evergreen.validation.chunked import check_chunks

    columns = list(dict.fromkeys(rule.column for rule in rules))
    if columns:
        chunks = read_chunks(snapshot.path, columns, chunk_rows)
        checks = check_chunks(rules, (scorer.frame(chunk, columns) for chunk in chunks))
        yield from zip((rule.strict for rule in rules), checks, strict=True)
