"""Facts in the words of the people who own a model: what happened to which model, why, and what to do."""

from collections.abc import Callable
from typing import Any

from evergreen.notify.message import Message, moment
from evergreen.store.facts import Fact, FactKind


def text(fact: Fact) -> Message:
    """The message that tells a fact. What its payload does not say is left out, never guessed.

    >>> from datetime import datetime
    >>> at = datetime.fromisoformat("2026-11-16T06:00:00+00:00")
    >>> told = text(Fact("decision:12", FactKind.HELD, "churn", at, {"decision": 12, "answer": "waiting"}))
    >>> told.title
    'churn: a new model waits for your decision'
    """
    title, lines = _WORDS[fact.kind](fact)
    link = fact.payload.get("link")
    return Message(f"{fact.model}: {title}", "\n".join(line for line in lines if line), str(link) if link else None)


Words = tuple[str, list[str]]


def _promoted(fact: Fact) -> Words:
    before, version = fact.payload.get("champion_before"), _version(fact)
    replaces = f"It replaces {_named(before)}." if before else "It is the first champion of this model."
    undo = f"If it should not be: evergreen rollback {_spec(fact)} --why '…'"
    return f"{version} is in production", [replaces, *_why(fact), _origin(fact), undo]


def _rejected(fact: Fact) -> Words:
    cause, by = fact.payload.get("cause"), fact.payload.get("by")
    who = {
        "approval": f"{by} rejected a new model",
        "timeout": "a new model was rejected, as nobody answered in time",
        "canary": "a new model was rejected, as it did not stand its canary",
        "overtaken": "the canary of a new model ended without a verdict, as a newer one takes its place",
    }
    if any("canary" in str(reason) for reason in fact.payload.get("reasons") or ()):
        who["timeout"] = "a new model was rejected, as its canary came to no verdict in time"
    stays = _stays(fact)
    todo = "" if cause == "approval" else f"Which checks failed: evergreen history {_spec(fact)}"
    if cause == "overtaken":
        todo = "Where this happens again and again, promotion.canary.within is too long for the schedule."
    return f"{who.get(str(cause), 'a new model was rejected')}; {stays}", [*_why(fact), _origin(fact), todo]


def _held(fact: Fact) -> Words:
    number, answer, until = (fact.payload.get(name) for name in ("decision", "answer", "until"))
    if answer == "waiting":
        commands = [
            f"To put it into production: evergreen approve {number} --why '…'",
            f"To turn it down: evergreen reject {number} --why '…'",
            f"Without an answer by {moment(until)} it is rejected." if until else "",
        ]
        return "a new model waits for your decision", [*_why(fact), f"Meanwhile {_stays(fact)}.", *commands]
    if answer == "tried":
        late = "is rejected" if fact.payload.get("on_timeout") == "reject" else "is left to you"
        return "a new model is tried on real requests", [
            *_why(fact),
            f"Meanwhile {_stays(fact)}. Without a verdict by {moment(until)} the new model {late}." if until else "",
            f"How it does: evergreen canary {_spec(fact)}",
            f"To end it now: evergreen reject {number} --why '…', or evergreen approve {number} --why '…'",
        ]
    if answer == "answered":
        return "a new model was held, and has been answered since", [*_why(fact), _origin(fact)]
    todo = f"Nothing was promoted. Put right what is named, then: evergreen run {_spec(fact)}"
    return f"a run was held; {_stays(fact)}", [*_why(fact), _origin(fact), todo]


def _failed(fact: Fact) -> Words:
    name, tries = fact.payload.get("name"), fact.payload.get("tries")
    again = f"It was tried {tries} times." if isinstance(tries, int) and tries > 1 else ""
    run = f"Run {name}, since {moment(fact.payload.get('started', fact.at))}." if name else ""
    todo = f"Production is as it was. Put right what is named, then: evergreen run {_spec(fact)}"
    return "a run failed", [_sentence(fact.payload.get("message")), again, run, todo]


def _rolled_back(fact: Fact) -> Words:
    before, by = fact.payload.get("champion_before"), fact.payload.get("by")
    who = f" by {by}" if by else ""
    return f"{_version(fact)} is in production again, rolled back{who}", [
        f"It replaces {_named(before)}." if before else "",
        *_why(fact),
        f"What happened: evergreen history {_spec(fact)}",
    ]


def _alias_moved(fact: Fact) -> Words:
    ends = {
        "adoption": (f"{_version(fact)} is champion now", f"To undo it: evergreen rollback {_spec(fact)} --why '…'"),
        "restoration": (f"{_version(fact)} is champion again", f"What happened: evergreen history {_spec(fact)}"),
    }
    known = fact.payload.get("champion_before")
    back = f"To put {_named(known) if known else 'it'} back: evergreen rollback {_spec(fact)} --why '…'"
    todo = str(fact.payload.get("do") or back)
    end, todo = ends.get(str(fact.payload.get("cause")), ("nothing was done about it", todo))
    return f"somebody moved alias champion by hand; {end}", [*_why(fact), todo]


def _drift(fact: Fact) -> Words:
    share, columns, severity = (fact.payload.get(name) for name in ("share", "columns", "severity"))
    title = f"{share:.0%} of the inputs have drifted" if isinstance(share, int | float) else "inputs have drifted"
    return f"{title}{' (critical)' if severity == 'critical' else ''}", [
        f"Columns: {', '.join(map(str, columns))}." if columns else "",
        _window(fact),
        "Where the automation is on, a retraining starts; it measures drift itself and is skipped where there is none.",
    ]


def _performance(fact: Fact) -> Words:
    started = "Where the automation is on, a retraining starts; its gate decides whether a new model is any better."
    return "it answers worse than it did", [*_why(fact), _window(fact), started]


def _labels(fact: Fact) -> Words:
    todo = f"What most needs a label: evergreen labels {_spec(fact)} --top 200"
    return "it may answer worse than it did, and labels would tell", [*_why(fact), _window(fact), todo]


def _faults(fact: Fact) -> Words:
    kept = "These rows are kept out of training, and no retraining starts for them."
    return "what it is asked about is broken", [*_why(fact), _window(fact), kept, _more(fact)]


def _alert(fact: Fact) -> Words:
    return "monitoring saw something", [*_why(fact), _window(fact), _more(fact)]


def _window(fact: Fact) -> str:
    start, end = (fact.payload.get(name) for name in ("window_start", "window_end"))
    return f"Seen in rows {f'from {moment(start)} ' if start else ''}to {moment(end)}." if end else ""


def _more(fact: Fact) -> str:
    return f"What was seen: evergreen monitor {_spec(fact)}"


def _silence(fact: Fact) -> Words:
    last, schedule = fact.payload.get("last_success"), fact.payload.get("schedule")
    title = f"no successful run since {moment(last)}" if last else "no successful run yet"
    due = fact.payload.get("due")
    return title, [
        f"By its schedule ({schedule}) there should have been one by {moment(due)}." if schedule and due else "",
        "The model in production grows stale. What is wrong: evergreen doctor",
    ]


_WORDS: dict[FactKind, Callable[[Fact], Words]] = {
    FactKind.PROMOTED: _promoted,
    FactKind.REJECTED: _rejected,
    FactKind.HELD: _held,
    FactKind.FAILED: _failed,
    FactKind.ROLLED_BACK: _rolled_back,
    FactKind.ALIAS_MOVED: _alias_moved,
    FactKind.DRIFT: _drift,
    FactKind.PERFORMANCE: _performance,
    FactKind.LABELS: _labels,
    FactKind.FAULTS: _faults,
    FactKind.ALERT: _alert,
    FactKind.SILENCE: _silence,
}


def _spec(fact: Fact) -> str:
    """What commands take: the name of the spec's file, which may differ from its model's."""
    return str(fact.payload.get("spec") or fact.model)


def _named(version: Any) -> str:
    return f"version {version}"


def _version(fact: Fact) -> str:
    version = fact.payload.get("champion_after") or fact.payload.get("version")
    return _named(version) if version else "a new version"


def _stays(fact: Fact) -> str:
    version = fact.payload.get("champion_after") or fact.payload.get("champion_before")
    return f"{_named(version)} stays in production" if version else "there is no model in production yet"


def _why(fact: Fact) -> list[str]:
    reasons = [str(reason) for reason in fact.payload.get("reasons") or ()]
    return (
        [f"Why: {_sentence(reasons[0])}"]
        if len(reasons) == 1
        else ["Why:"] * bool(reasons) + [f"- {reason}" for reason in reasons]
    )


def _origin(fact: Fact) -> str:
    number, reason, as_of = (fact.payload.get(name) for name in ("decision", "reason", "as_of"))
    parts = [
        f"Decision {number}" if number else "",
        f"reason {reason}" if reason else "",
        f"data as of {moment(as_of)}" if as_of else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{said}." if said else ""


def _sentence(said: Any) -> str:
    line = str(said or "").strip()
    return line if not line or line.endswith((".", "!", "?", "…")) else f"{line}."
