"""What came true, as callers send it: late, corrected, twice, by our name of a prediction or by theirs of a row."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from evergreen.errors import UnavailableError
from evergreen.serving.handles import Column, Feedback, Problem
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.predict_request import LARGE_BYTES
from evergreen.serving.refused import Refused, busy, invalid, malformed, not_kept
from evergreen.serving.values import Refusal, read_id, read_value
from evergreen.serving.wire import JSON, Ask, Reply, content_type

FIELDS = ("prediction_id", "row_id", "label", "at", "model", "extra")
MOST = 10_000
_MOST_PROBLEMS = 20
_UNKNOWN = f"has a field that is not one of {', '.join(FIELDS)}"
_LONGEST_EXTRA = 2_000
_SHOWN = 10
# Clocks differ; but a label of next week would count before it is known.
_AHEAD = timedelta(minutes=5)


class Labels(Protocol):
    """Where labels are kept; evergreen.store.traffic.Traffic is."""

    def write_feedback(self, feedback: Sequence[Feedback]) -> Sequence[str]:
        """Keep them all in one transaction; what became of each, in their order."""

    def classes_of(self, model: str, feedback: Sequence[Feedback]) -> Sequence[Collection[str]]:
        """For each label of a model the classes of the version whose prediction it is about; none where unknown."""


@dataclass
class Listener:
    """Answers /feedback. `executor` is where the store is waited for, by `most_waiting` requests at most."""

    loaded: LoadedModels
    labels: Labels | None
    executor: Executor
    clock: Callable[[], datetime]
    most_waiting: int = 64
    _waiting: int = 0

    async def listen(self, name: str, ask: Ask) -> Reply:
        """Keep one label or many, and answer once they are kept."""
        if self.labels is None:
            raise Refused(503, "no_store", "this server keeps no feedback")
        if content_type(ask.headers) != JSON:
            raise Refused(415, "content_type", "send application/json")
        if self._waiting >= self.most_waiting:
            raise busy("too many labels are waiting")
        # Many labels are read where the store is waited for: here they would hold everybody up.
        said = None if len(ask.body) >= LARGE_BYTES else self._parse(name, ask.body)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self.executor, self._keep, self.labels, name, ask, said
            )
        except UnavailableError as error:
            raise not_kept("the label") from error
        finally:
            self._waiting -= 1

    def _keep(self, labels: Labels, name: str, ask: Ask, said: tuple[list[Feedback], bool] | None) -> Reply:
        feedback, single = self._parse(name, ask.body) if said is None else said
        if problems := list(self._foreign(labels, feedback)):
            raise invalid(problems[:_MOST_PROBLEMS])
        outcomes = labels.write_feedback(feedback)
        told = [_told(each, str(outcome)) for each, outcome in zip(feedback, outcomes, strict=True)]
        shown = told[0] if single else {"feedback": told}
        return Reply(msgspec.json.encode({"request_id": ask.id, **shown}), model=feedback[0].model)

    def _foreign(self, labels: Labels, feedback: Sequence[Feedback]) -> Iterator[Problem]:
        """Labels that neither the champion tells apart, nor the version whose prediction they are about."""
        served = {model: self.loaded.get(model) for model in {each.model for each in feedback}}
        for model, champion in served.items():
            classes = () if champion is None else champion.classes
            places = [place for place, each in enumerate(feedback) if classes and each.model == model]
            places = [place for place in places if feedback[place].label not in classes]
            known = labels.classes_of(model, [feedback[place] for place in places]) if places else ()
            for place, former in zip(places, known, strict=True):
                if feedback[place].label not in former:
                    shown = ", ".join(sorted(former)[:_SHOWN] or classes[:_SHOWN])
                    yield Problem("allowed", f"is none of the classes: {shown}", "label", place)

    def _parse(self, name: str, body: bytes) -> tuple[list[Feedback], bool]:
        items, single = _items(body)
        return self._read(name, items), single

    def _read(self, name: str, items: Sequence[Any]) -> list[Feedback]:
        now, read, problems = self.clock(), [], []
        for place, item in enumerate(items):
            made = _Item(self.loaded, name, now, place).read(item)
            if isinstance(made, Feedback):
                read.append(made)
            else:
                problems += made
            if len(problems) >= _MOST_PROBLEMS:
                break
        if problems:
            raise invalid(problems)
        return read


@dataclass(frozen=True)
class _Item:
    """One label that was sent, the `place`-th."""

    loaded: LoadedModels
    name: str
    now: datetime
    place: int

    def read(self, item: Any) -> Feedback | list[Problem]:
        """The label, or what is wrong with it."""
        if not isinstance(item, Mapping):
            return [Problem("type", "is no object", row=self.place)]
        problems = [self._problem("extra", _UNKNOWN, None) for key in item if key not in FIELDS][:1]
        task = self._task(item)
        label, moment = self._label(item, task), self._moment(item.get("at"))
        ids = [read_id(item.get(field)) for field in ("prediction_id", "row_id")]
        problems += [found for found in (task, label, moment) if isinstance(found, Problem)]
        fields = zip(("prediction_id", "row_id"), ids, strict=True)
        problems += [
            self._problem(found.rule, found.why, field) for field, found in fields if isinstance(found, Refusal)
        ]
        if not problems and ids == [None, None]:
            problems = [self._problem("missing", "or row_id has to say what the label is about", "prediction_id")]
        problems += self._row(ids[1], task)
        problems += self._extra(item.get("extra"))
        if problems:
            return problems
        extra = item.get("extra") or {}
        return Feedback(task[0], label, moment, self.now, ids[0], ids[1], extra)  # type: ignore[index,arg-type]

    def _task(self, item: Mapping[str, Any]) -> tuple[str, str] | Problem:
        """The model that the label is for, and what it predicts."""
        names = self.loaded.names
        name = self.name or item.get("model") or (names[0] if len(names) == 1 else None)
        if self.name and item.get("model") not in (None, self.name):
            return self._problem("model", "is another model than the address names", "model")
        if name is None:
            return self._problem("missing", "is missing; several models are served here", "model")
        served = self.loaded.get(name) if isinstance(name, str) else None
        return (name, served.task) if served is not None else self._problem("model", "is not served here", "model")

    def _label(self, item: Mapping[str, Any], task: tuple[str, str] | Problem) -> Any:
        if "label" not in item:
            return self._problem("missing", "is missing", "label")
        kind = "number" if not isinstance(task, Problem) and task[1] == "regression" else "category"
        label = read_value(Column("label", kind, nullable=False), item["label"])  # type: ignore[arg-type]
        if isinstance(label, Refusal):
            return self._problem(label.rule, label.why, "label")
        if label is None:
            return self._problem("null", "is null; a label has to say something", "label")
        return label

    def _moment(self, value: Any) -> datetime | Problem:
        """When the label was known: now, where nobody says."""
        if value is None:
            return self.now
        try:
            moment = datetime.fromisoformat(value).astimezone(UTC) if _has_zone(value) else None
        except (TypeError, ValueError, OverflowError):
            moment = None
        if moment is None:
            return self._problem("type", "is no moment with a time zone, such as 2026-01-31T12:00:00Z", "at")
        return self._problem("max", "is in the future", "at") if moment > self.now + _AHEAD else moment

    def _row(self, row_id: Any, task: tuple[str, str] | Problem) -> list[Problem]:
        """The name of a row is not kept by this way either where capture leaves it out."""
        served = None if isinstance(task, Problem) else self.loaded.get(task[0])
        if row_id is None or served is None or served.keeps_rows:
            return []
        return [self._problem("row_id", "is never kept for this model; name the prediction_id alone", "row_id")]

    def _extra(self, value: Any) -> list[Problem]:
        if value is None or (isinstance(value, dict) and len(msgspec.json.encode(value)) <= _LONGEST_EXTRA):
            return []
        return [self._problem("type", f"is no object of at most {_LONGEST_EXTRA:,} bytes", "extra")]

    def _problem(self, rule: str, why: str, field: str | None) -> Problem:
        return Problem(rule, why, field, self.place)


def _items(body: bytes) -> tuple[list[Any], bool]:
    """What was sent, and whether it was one bare object."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise malformed("the body is no valid JSON") from error
    if not isinstance(value, dict):
        raise malformed('the body is no object; send one label as an object, or {"feedback": [ … ]}')
    items = value.get("feedback")
    if items is None:
        return [value], True
    if not isinstance(items, list) or len(value) > 1 or not items:
        raise malformed("the body has to hold a list `feedback` of at least one label, and nothing beside it")
    if len(items) > MOST:
        raise Refused(413, "too_many_rows", f"a request has at most {MOST:,} labels; send them in parts")
    return items, False


def _has_zone(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


def _told(feedback: Feedback, outcome: str) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": outcome}
    if feedback.prediction_id is not None:
        told["prediction_id"] = feedback.prediction_id
    if feedback.row_id is not None:
        told["row_id"] = feedback.row_id
    return told
