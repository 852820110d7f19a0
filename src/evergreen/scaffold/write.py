"""A spec plan as YAML: working as it stands, with a comment wherever somebody who knows the data may know better."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from evergreen.scaffold.bounds import column_rules, oddity
from evergreen.scaffold.plan import SpecPlan
from evergreen.spec.data import NULLS, CsvSource

_WIDTH = 110
# Line breaks, and what else may stand in no line of YAML.
_BREAKS = re.compile(r"[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]+")


def write_spec(plan: SpecPlan) -> str:
    """The text of `configs/<model>.yaml`."""
    sections = (_head, _data, _schema, _features, _training, _rules)
    return "\n".join(_one_line(line) for section in sections for line in section(plan)) + "\n"


def flow(value: Any) -> str:
    """A value as YAML on one line.

    >>> flow({"path": "a.csv", "allowed": ["no", "yes"]})
    "{path: a.csv, allowed: ['no', 'yes']}"
    >>> flow(["two\\nlines"])
    '["two\\\\nlines"]'
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True)
    text = text.removesuffix("\n").removesuffix("\n...")
    if text == _one_line(text) and not text.startswith("{?"):
        return text
    # JSON is YAML too, and has no long forms that begin a line.
    plain = json.dumps(value, ensure_ascii=False)
    return _BREAKS.sub(lambda found: "".join(f"\\u{ord(c):04x}" for c in found[0]), plain)


def _one_line(text: str) -> str:
    """Names are data: one with a line break must not end the comment that it stands in."""
    return " ".join(_BREAKS.split(text))


def _head(plan: SpecPlan) -> Iterator[str]:
    table = plan.table
    part = "" if table.complete else "the first "
    yield f"# Written by `evergreen init` from {table.source.path}"
    yield f"# ({part}{table.rows:,} rows, {len(table.columns)} columns). Read it once: it is a guess from these rows."
    yield f"model: {flow(plan.model)}"
    yield f"task: {plan.target.task}{_task_note(plan)}"
    yield "# owner: team@example.com"


def _task_note(plan: SpecPlan) -> str:
    if plan.target.task == "regression":
        return ""
    shown = [f"{name} {share:.1%}" for name, share in list(plan.target.classes.items())[:6]]
    more = "" if len(plan.target.classes) <= 6 else f" and {len(plan.target.classes) - 6} more"
    return f"  # {plan.target.name}: {', '.join(shown)}{more}"


def _data(plan: SpecPlan) -> Iterator[str]:
    yield "data:"
    order = "  # some dates can only have their day first, so all are read so" if plan.table.source.day_first else ""
    yield f"  source: {flow(_source(plan))}{order}"
    yield f"  target: {flow(plan.target.name)}"
    yield from _time(plan)
    if plan.id_column is not None:
        yield f"  id_column: {flow(plan.id_column)}  # different in every row"
    for name in plan.repeated_ids:
        yield f"  # group_column: {flow(name)}  # when rows of one {name} must not be both learnt from and judged by"


def _source(plan: SpecPlan) -> dict[str, Any]:
    source = plan.table.source
    found: dict[str, Any] = {"kind": source.kind, "path": source.path}
    if isinstance(source, CsvSource):
        found |= {} if source.separator is None else {"separator": source.separator}
        found |= {} if source.encoding == "utf-8" else {"encoding": source.encoding}
        found |= {} if source.decimal == "." else {"decimal": source.decimal}
        found |= {} if source.null_values == NULLS else {"null_values": list(source.null_values)}
    return {**found, "day_first": True} if source.day_first else found


def _time(plan: SpecPlan) -> Iterator[str]:
    if plan.time is None:
        yield "  # time_column: …          # no column holds the time of a row, so the holdout is drawn at random"
        return
    times = plan.table.frame[plan.time]
    span = f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"
    guess = "; suspected: take another if it is not the time at which one predicts" if plan.suspected else ""
    yield f"  time_column: {flow(plan.time)}  # {span}{guess}"
    yield "  # window: 365d            # for a table that grows: rows older than this are forgotten"
    yield "  # label_delay: 7d         # when the target is known only some time after its row"


def _schema(plan: SpecPlan) -> Iterator[str]:
    table, target = plan.table, plan.target
    yield "schema:  # a table that breaks one of these stops the run"
    yield f"  rows: {{at_least: {_round_down(table.rows / 2)}}}  # half of what there is now"
    if plan.time is not None:
        yield "  # freshness: 7d           # for a live feed: the newest row is at most this old"
    if target.classes:
        yield f"  min_class_share: {_share(min(target.classes.values()) / 3)}  # a third of the rarest class"
    yield "  columns:"
    if plan.id_column is not None:
        yield f"    {_key(plan.id_column)}: {flow({'type': table.columns[plan.id_column].type, 'unique': True})}"
    for role in plan.roles:
        if role.use not in ("out", "id"):
            column = table.columns[role.column]
            named = role.use in ("categorical", "frequency") and column.numeric
            values = table.frame[role.column]
            odd = None if named else oddity(column, values)
            note = "" if odd is None else f"  # {odd}"
            yield f"    {_key(role.column)}: {flow(column_rules(column, values, named))}{note}"
    yield f"    {_key(target.name)}: {flow(target.rules)}"


def _features(plan: SpecPlan) -> Iterator[str]:
    yield "features:"
    if plan.left_out:
        yield "  # Left out:"
        yield from (f"  #   {role.column}: {role.why}" for role in plan.left_out)
    yield "  # Take out, too, whatever is not known yet at the moment of a prediction."
    if plan.derived:
        yield "  derive:"
        yield from (f"    - {flow(item)}" for item in plan.derived)
    if plan.numeric:
        yield from _list("numeric", plan.numeric)
    if plan.categorical:
        yield from _list("categorical", plan.categorical)


def _training(plan: SpecPlan) -> Iterator[str]:
    yield "training:"
    if plan.holdout is not None:
        share = f"the newest rows, {plan.holdout.share:.0%} of those with a label"
        yield f"  split: {{kind: time, holdout: {plan.holdout.duration}}}  # {share}"
    else:
        yield "  split: {kind: random, holdout: 0.2, seed: 42}"
    yield f"  cross_validation: {{folds: {_folds(plan)}}}"
    yield f"  metric: {plan.target.metric}  # {plan.target.why}"
    yield "  candidates:"
    if plan.target.task == "classification":
        yield "    - {kind: logistic_regression, grid: {C: [0.1, 1]}}"
    else:
        yield "    - {kind: ridge, grid: {alpha: [0.1, 1, 10]}}"
    yield "    - {kind: hist_gradient_boosting, params: {early_stopping: false}, grid: {learning_rate: [0.05, 0.1]}}"


def _rules(plan: SpecPlan) -> Iterator[str]:
    metric = plan.target.metric
    floor = f"{{at_most: {_guess(plan)}}}" if plan.target.task == "regression" else "{at_least: 0.8}"
    says = "a constant guess errs by so much" if plan.target.task == "regression" else "below it the model is of no use"
    margin = "margin: 0.02, relative: true" if plan.target.task == "regression" else "margin: 0.005"
    yield f"drift: {{max_share: 0.5, retrain_share: 0.3, min_rows: {_min_rows(plan)}}}"
    yield "gates:"
    yield f"  # absolute: {{{metric}: {floor}}}  # put in your own: {says}"
    yield f"  against_champion: {{metric: {metric}, {margin}, confidence: 0.95}}"
    yield "  beat_dummy: true"
    yield "schedule: {cron: '0 6 * * 1', timezone: UTC}  # Mondays at six"


def _guess(plan: SpecPlan) -> str:
    values = plan.table.frame[plan.target.name]
    return f"{float(f'{(values - values.median()).abs().mean():.3g}'):g}"


def _folds(plan: SpecPlan) -> int:
    rarest = min(plan.target.classes.values()) * plan.target.rows if plan.target.classes else plan.target.rows
    return max(2, min(5 if plan.table.rows <= 5000 else 3, int(rarest * 0.8)))


def _min_rows(plan: SpecPlan) -> int:
    return max(30, min(500, _round_down(plan.table.rows / 2)))


def _round_down(value: float) -> int:
    """One significant digit.

    >>> _round_down(22605), _round_down(172), _round_down(0.5)
    (20000, 100, 1)
    """
    digits = 10 ** (len(str(int(value))) - 1)
    return max(1, int(value) // digits * digits)


def _share(value: float) -> str:
    return f"{float(f'{value:.1g}'):g}" if value >= 0.001 else "0.001"


def _key(name: str) -> str:
    return flow({name: 0})[1:-4]


def _list(key: str, names: Sequence[str]) -> Iterator[str]:
    """A flow list that is broken between its items where it is too long."""
    line = f"  {key}: ["
    for position, name in enumerate(names):
        item = flow([name])[1:-1] + ("]" if position == len(names) - 1 else ",")
        if len(line) + len(item) > _WIDTH:
            yield line.rstrip()
            line = " " * 4
        line += item + " "
    yield line.rstrip()
