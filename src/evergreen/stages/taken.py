"""Labels that people wrote into a file: all of them are taken, by the rules of POST /feedback, or none."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evergreen.data.parse import TextRules, text_rules
from evergreen.errors import DataError, UserError
from evergreen.registry.handles import Champion
from evergreen.settings import Settings
from evergreen.spec.model import ModelSpec
from evergreen.stages.open import read_spec, tracking_of
from evergreen.stages.scorer import find_champion
from evergreen.store.ground_truth import ASKED
from evergreen.store.labelled import LabelledTraffic
from evergreen.store.prediction import Feedback
from evergreen.store.traffic import Traffic

NEEDED = ("prediction_id", "label")
_SHOWN = 5
_CLASSES_SHOWN = 10
# Clocks differ; but a label of next week would count before it is known.
_AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Taken:
    """What became of the lines of a file: how many by outcome, and how many had no label yet."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    blank: int = 0


@dataclass(frozen=True)
class _Line:
    """A line of the file, the first after the heads being 2."""

    number: int
    values: Mapping[str, str]

    def of(self, column: str) -> str:
        """What stands in a column, trimmed; nothing where it is missing."""
        return (self.values.get(column) or "").strip()


@dataclass(frozen=True)
class _Wrong:
    line: int
    column: str
    why: str


def take_labels(name: str, path: Path, settings: Settings, now: datetime) -> Taken:
    """Keep the labels of a file about a spec's model, in one transaction. `now` is when they came, aware.

    Lines without a label are left for later. Raises DataError with line and column, and keeps nothing, where a
    prediction is not known or a label is none.
    """
    spec = read_spec(name, settings)
    lines = _read(path)
    labelled = [line for line in lines if line.of("label")]
    champion = find_champion(spec.model, name, settings)
    feedback, wrong = _feedback(labelled, spec, now)
    wrong += [*_unknown(labelled, spec.model, settings), *_foreign(labelled, feedback, spec, champion, settings)]
    if wrong:
        raise DataError(_said(path, wrong))
    outcomes = Traffic(settings.store_url).write_feedback([each for each in feedback if each is not None])
    return Taken(dict(Counter(str(outcome) for outcome in outcomes)), len(lines) - len(labelled))


def _read(path: Path) -> list[_Line]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text in UTF-8 ({error})") from None
    first = text.split("\n", 1)[0]
    # Spreadsheets of half of Europe write semicolons.
    mark = ";" if first.count(";") > first.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
    heads = list(reader.fieldnames or ())
    if missing := [name for name in NEEDED if heads.count(name) != 1]:
        raise DataError(f"{path}: line 1 has to name the column {missing[0]!r} once; it has: {', '.join(heads)}")
    return [_Line(reader.line_num, row) for row in reader]


def _feedback(lines: Sequence[_Line], spec: ModelSpec, now: datetime) -> tuple[list[Feedback | None], list[_Wrong]]:
    """A label for each line, None where it is none, and what is wrong."""
    rules, made, wrong = text_rules(spec.data.source), list[Feedback | None](), list[_Wrong]()
    said: dict[str, str] = {}
    for line in lines:
        moment, label = _moment(line, now), _label(line, spec.task, rules)
        found = [each for each in (moment, label) if isinstance(each, _Wrong)]
        name = line.of("prediction_id")
        if said.setdefault(name, line.of("label")) != line.of("label"):
            found.append(_Wrong(line.number, "label", f"another line says {said[name]!r} of {name}"))
        wrong += found
        told = Feedback(spec.model, label, moment, now, prediction_id=name, extra={ASKED: True})  # type: ignore[arg-type]
        made.append(None if found else told)
    return made, wrong


def _label(line: _Line, task: str, rules: TextRules) -> str | float | _Wrong:
    """A label as training reads it."""
    import pyarrow as pa

    from evergreen.data.parse import read_values

    kind: Any = "number" if task == "regression" else "category"
    value = read_values(pa.array([line.of("label")]), kind, rules).values[0].as_py()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _Wrong(line.number, "label", f"{line.of('label')!r} is no {'number' if kind == 'number' else 'class'}")
    found: str | float = value
    return found


def _moment(line: _Line, now: datetime) -> datetime | _Wrong:
    """When the label was known: now, where the line does not say."""
    text = line.of("at")
    if not text:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return _Wrong(line.number, "at", f"{text!r} is no moment with a time zone, such as 2026-01-31T12:00:00Z")
    if moment > now + _AHEAD:
        return _Wrong(line.number, "at", f"{text!r} is in the future")
    return moment.astimezone(UTC)


def _unknown(lines: Sequence[_Line], model: str, settings: Settings) -> Iterator[_Wrong]:
    known = LabelledTraffic(settings.store_url).known(model, [line.of("prediction_id") for line in lines])
    for line in lines:
        if (name := line.of("prediction_id")) not in known:
            yield _Wrong(line.number, "prediction_id", f"{name!r} is no captured prediction of {model}")


def _foreign(
    lines: Sequence[_Line],
    feedback: Sequence[Feedback | None],
    spec: ModelSpec,
    champion: Champion,
    settings: Settings,
) -> Iterator[_Wrong]:
    """Labels that neither the champion tells apart, nor the version whose prediction they are about."""
    from evergreen.registry.model import load

    if spec.task == "regression":
        return
    model = load(tracking_of(settings), champion.source, champion.digest)
    classes = tuple(map(str, getattr(model, "classes_", ())))
    places = [place for place, each in enumerate(feedback) if each is not None and each.label not in classes]
    about = [each for place in places if (each := feedback[place]) is not None]
    known = Traffic(settings.store_url).classes_of(spec.model, about) if about else ()
    for place, each, former in zip(places, about, known, strict=True):
        if each.label not in former:
            shown = ", ".join((*sorted(former),)[:_CLASSES_SHOWN] or classes[:_CLASSES_SHOWN])
            yield _Wrong(lines[place].number, "label", f"{each.label!r} is none of the classes: {shown}")


def _said(path: Path, wrong: Sequence[_Wrong]) -> str:
    first = sorted(wrong, key=lambda each: each.line)[:_SHOWN]
    said = [f"{path}: line {each.line}, column {each.column}: {each.why}" for each in first]
    if more := len(wrong) - len(first):
        said.append(f"{path}: {more:,} more like these")
    return "\n".join([*said, f"{path}: nothing is taken; correct it, and take it again"])
