"""What came true: labels as they came, and which prediction each of them is about."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from evergreen.store.moments import to_micros
from evergreen.store.prediction import Feedback
from evergreen.store.tables import ground_truth, predictions, traffic
from evergreen.store.traffic_group import ALL

_AT_ONCE = 500
_DIGITS = "0123456789"
_MOST_DIGITS = 9
ASKED = "asked"
"""Of `Feedback.extra`: true of a label that somebody was asked for, as its row is unusual."""


class Outcome(StrEnum):
    """What became of a label that came in."""

    NEW = "new"  # the first one of its prediction
    CORRECTED = "corrected"  # it counts from now on, instead of another one
    CONFIRMED = "confirmed"  # said before, and now again of a later moment
    OUTDATED = "outdated"  # kept, but one of a later moment counts
    DUPLICATE = "duplicate"  # what was said last of the same moment: nothing is written
    UNKNOWN = "unknown"  # kept, and counts as soon as its prediction is written, if ever


def keep(connection: sa.Connection, feedback: Sequence[Feedback]) -> tuple[Outcome, ...]:
    """Write labels in the caller's transaction, which has begun to write; an outcome for each, in their order."""
    outcomes: dict[int, Outcome] = {}
    for model in dict.fromkeys(each.model for each in feedback):
        places = [place for place, each in enumerate(feedback) if each.model == model]
        for start in range(0, len(places), _AT_ONCE):
            chosen = places[start : start + _AT_ONCE]
            found = _keep(connection, model, [feedback[place] for place in chosen])
            outcomes |= zip(chosen, found, strict=True)
    return tuple(outcomes[place] for place in range(len(feedback)))


def winners(labels: Sequence[Mapping[Any, Any]]) -> dict[str, Mapping[Any, Any]]:
    """The label that counts for each prediction: of the latest moment, then the last received, then the last kept."""
    return {label["prediction"]: label for label in sorted(labels, key=_rank)}


def labels_of(model: str, predicted: Any = None, known: Any = None, *, named: bool = False) -> Any:
    """A query for every label of a model beside the prediction it is about; `predicted` and `known` narrow the two.

    A label that names a row is about the newest request of that row that was answered before the label was known, in
    every role that answered it. `named` says that `known` names the labels, and is what to look them up by.
    """
    p, f, later = predictions.c, ground_truth.c, predictions.alias("later")
    chosen = [f.id, p.id.label("prediction"), p.traffic, f.label, f.at, f.received_at, f.extra]
    mine = _is_of(model) if named else f.model == model
    rule = sa.and_(mine & (p.model == model), *(each for each in (predicted, known) if each is not None))
    one = (p.id == f.prediction_id) & ~p.id.endswith(ALL)
    by_id = sa.select(*chosen).join(predictions, one).where(rule)
    newer = (later.c.model == model) & (later.c.row_id == f.row_id) & (later.c.request != p.request)
    overtaken = sa.exists().where(newer & (later.c.at > p.at) & (later.c.at <= f.at))
    same_row = (p.row_id == f.row_id) & (p.at <= f.at)
    by_row = sa.select(*chosen).join(predictions, same_row).where(rule & f.prediction_id.is_(None) & ~overtaken)
    chosen[1] = f.prediction_id.label("prediction")
    group, place = _group_and_place(f.prediction_id)
    inside = place.between(p.position, p.position + traffic.c.rows - 1)
    by_group = sa.select(*chosen).join(predictions, p.id == group).join(traffic, traffic.c.id == p.traffic)
    return sa.union_all(by_id, by_row, by_group.where(rule & inside))


def _group_and_place(name: Any) -> tuple[Any, Any]:
    """Of the id of a prediction: that of the row that may stand for its whole group, and its place in the request; null
    where it does not end as ours do.
    """
    request = sa.func.rtrim(name, _DIGITS)
    digits = sa.func.substr(name, sa.func.length(request) + 1)
    number = sa.case((sa.func.length(digits).between(1, _MOST_DIGITS), sa.cast(digits, sa.Integer)))
    return request.concat(ALL), sa.case((sa.cast(number, sa.Text) == digits, number))


def versions_of(connection: sa.Connection, model: str, feedback: Sequence[Feedback]) -> list[set[int]]:
    """For each label of a model the versions that gave a prediction which it may be about."""
    p, about = predictions.c, dict[tuple[str, str | None], set[int]]()
    query = sa.select(p.id, p.row_id, traffic.c.version).join(traffic, traffic.c.id == p.traffic)
    for start in range(0, len(feedback), _AT_ONCE):
        chosen = feedback[start : start + _AT_ONCE]
        ids = {each.prediction_id for each in chosen} - {None}
        rows = {each.row_id for each in chosen if each.prediction_id is None} - {None}
        names = {*ids, *(_group_of(name) for name in ids if name)}
        for name, row_id, version in connection.execute(
            query.where((p.model == model) & (p.id.in_(names) | p.row_id.in_(rows)))
        ):
            about.setdefault(("id", name), set()).add(version)
            about.setdefault(("row", row_id), set()).add(version)
    return [set().union(*(about.get(key, ()) for key in _keys(each))) for each in feedback]


def ids_kept(connection: sa.Connection, model: str, ids: Sequence[str]) -> set[str]:
    """Those of these ids that a prediction of the model has."""
    p, found = predictions.c, set[str]()
    spans: dict[str, list[range]] = {}
    query = sa.select(p.id, p.position, traffic.c.rows).join(traffic, traffic.c.id == p.traffic)
    for start in range(0, len(ids), _AT_ONCE):
        names = [each for name in ids[start : start + _AT_ONCE] for each in (name, _group_of(name))]
        for name, first, rows in connection.execute(query.where((p.model == model) & p.id.in_(names))):
            found.add(name)
            spans.setdefault(name, []).append(range(first, first + rows))
    return {name for name in ids if (name in found and not name.endswith(ALL)) or _is_within(name, spans)}


def _is_within(name: str, spans: Mapping[str, Sequence[range]]) -> bool:
    group, digits = _group_of(name), name[len(name.rstrip(_DIGITS)) :]
    return any(str(int(digits)) == digits and int(digits) in span for span in spans.get(group, ()) if digits)


def _keys(feedback: Feedback) -> tuple[tuple[str, str | None], ...]:
    if feedback.prediction_id is None:
        return (("row", feedback.row_id),)
    return ("id", feedback.prediction_id), ("id", _group_of(feedback.prediction_id))


def _group_of(name: str) -> str:
    return f"{name.rstrip(_DIGITS)}{ALL}"


def _keep(connection: sa.Connection, model: str, feedback: Sequence[Feedback]) -> list[Outcome]:
    said = _said_before(connection, model, feedback)
    rows = [_to_row(each) for each in feedback]
    fresh = [place for place, row in enumerate(rows) if _is_news(row, said)]
    outcomes = [Outcome.DUPLICATE] * len(rows)
    if fresh:
        insert = sa.insert(ground_truth).returning(ground_truth.c.id, sort_by_parameter_order=True)
        numbers = connection.execute(insert, [rows[place] for place in fresh]).scalars().all()
        judged = _judge(connection, model, numbers)
        for place, number in zip(fresh, numbers, strict=True):
            outcomes[place] = judged[number]
    return outcomes


def _judge(connection: sa.Connection, model: str, numbers: Sequence[int]) -> dict[int, Outcome]:
    """What became of labels that were just written, beside those that their predictions had before."""
    new = connection.execute(labels_of(model, known=ground_truth.c.id.in_(numbers), named=True)).mappings().all()
    about = dict.fromkeys(label["prediction"] for label in new)
    if not about:
        return dict.fromkeys(numbers, Outcome.UNKNOWN)
    every: dict[str, list[Any]] = {}
    for label in _all_about(connection, model, tuple(about)):
        every.setdefault(label["prediction"], []).append(label)
    found = {label["id"]: _compare(label, every[label["prediction"]]) for label in new}
    return {number: found.get(number, Outcome.UNKNOWN) for number in numbers}


def _all_about(connection: sa.Connection, model: str, names: Sequence[str]) -> Iterator[Mapping[Any, Any]]:
    """Every label of predictions that are there: those that name them, and those that name their row."""
    p, f = predictions.c, ground_truth.c
    alone = [name for name in names if not name.endswith(ALL)]
    by_id = sa.select(f.id, f.prediction_id.label("prediction"), f.label, f.at, f.received_at)
    yield from connection.execute(by_id.where(_is_of(model) & f.prediction_id.in_(alone))).mappings()
    near = p.id.in_(names)
    named = sa.select(p.row_id).where((p.model.concat("") == model) & near & p.row_id.is_not(None))
    if rows := set(connection.scalars(named)):
        yield from connection.execute(labels_of(model, near, _by_row(model, rows), named=True)).mappings()


def _is_of(model: str) -> Any:
    """Whether a label is of a model, hidden from SQLite's planner: it would begin there, and meet every label."""
    return ground_truth.c.model.concat("") == model


def _by_row(model: str, rows: Iterable[str | None]) -> Any:
    """Whether a label names one of these rows. In pairs, as SQLite takes the model alone where names are few."""
    f = ground_truth.c
    return f.prediction_id.is_(None) & sa.tuple_(f.model, f.row_id).in_([(model, row) for row in rows])


def _compare(new: Mapping[Any, Any], labels: Sequence[Mapping[Any, Any]]) -> Outcome:
    before = [label for label in labels if label["id"] < new["id"]]
    if not before:
        return Outcome.NEW
    best = max(before, key=_rank)
    if _rank(new) < _rank(best):
        return Outcome.OUTDATED
    return Outcome.CONFIRMED if new["label"] == best["label"] else Outcome.CORRECTED


def _rank(label: Mapping[Any, Any]) -> tuple[Any, ...]:
    return label["at"], label["received_at"], label["id"]


def _said_before(connection: sa.Connection, model: str, feedback: Sequence[Feedback]) -> dict[tuple[Any, ...], str]:
    """What was last said of each of these, by name and moment."""
    f = ground_truth.c
    ids = {each.prediction_id for each in feedback} - {None}
    rows = {each.row_id for each in feedback if each.prediction_id is None} - {None}
    by_id = _is_of(model) & f.prediction_id.in_(ids)
    said: dict[tuple[Any, ...], str] = {}
    for same in ([by_id] if ids else []) + ([_by_row(model, rows)] if rows else []):
        found = connection.execute(sa.select(ground_truth).where(same).order_by(f.received_at, f.id))
        said |= {_subject(row): row["label"] for row in found.mappings()}
    return said


def _is_news(row: Mapping[Any, Any], said: dict[tuple[Any, ...], str]) -> bool:
    """False for what was said last of the same moment; one that went from yes to no and back is news each time."""
    subject = _subject(row)
    news = said.get(subject) != row["label"]
    said[subject] = row["label"]
    return news


def _subject(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return row["prediction_id"], None if row["prediction_id"] else row["row_id"], to_micros(row["at"])


def _to_row(feedback: Feedback) -> dict[str, Any]:
    return {
        "model": feedback.model,
        "prediction_id": feedback.prediction_id,
        "row_id": feedback.row_id,
        "label": json.dumps(feedback.label),
        "at": feedback.at,
        "received_at": feedback.received_at,
        "extra": json.dumps(dict(feedback.extra)) if feedback.extra else None,
    }


@dataclass(frozen=True)
class Truth:
    """What counts of a prediction: its label, since when that was known, and when it came, both in microseconds.

    `asked` is True where all that is known of it was asked for: nobody would have told it otherwise.
    """

    label: Any
    at: int
    received_at: int
    asked: bool = False


def read_truths(rows: Iterator[Mapping[Any, Any]]) -> dict[str, Truth]:
    """What came true of every prediction that has a label."""
    every = list(rows)
    told = {row["prediction"] for row in every if not _is_asked(row)}
    return {
        name: Truth(json.loads(row["label"]), to_micros(row["at"]), to_micros(row["received_at"]), name not in told)
        for name, row in winners(every).items()
    }


def _is_asked(row: Mapping[Any, Any]) -> bool:
    return bool(row["extra"]) and json.loads(row["extra"]).get(ASKED) is True


def read_labels(rows: Iterator[Mapping[Any, Any]]) -> dict[str, tuple[Any, int]]:
    """Label and moment, in microseconds, of every prediction that has one."""
    return {name: (truth.label, truth.at) for name, truth in read_truths(rows).items()}
