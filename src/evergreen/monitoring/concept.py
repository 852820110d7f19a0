"""Did the rows change, or what becomes of them? Concept drift told from data drift, in words.

The estimate knows how well the champion does on rows like these, as long as what becomes of a row follows from it in
the way it did on the holdout. So what came true splits in two: what the estimate expected, which is the part of the
data, and what is left, which is the part of the rule behind it (the terms are those of Moreno-Torres et al., A unifying
view on dataset shift in classification, Pattern Recognition 45, 2012). Where one outcome only became more frequent,
and each looks as it did before (prior shift), expectations that know the new shares are right again.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from evergreen.store.window import Signal, SignalKind, Window

# Of a standard error: looked at once a window, for months.
_CERTAIN = 4.0
# A gap below this share of the holdout's loss is not worth a word.
_WORTH = 0.05
# Less is left of a gap once expectations know the new shares: they are what made it.
_LEFT = 0.35
_RISEN = 0.1
# In nats: labels that are so much likelier under other shares are not so by chance.
_EVIDENCE = 4.0

_WHAT = {
    "accuracy": "the share of wrong answers",
    "brier": "the error of its probabilities (brier)",
    "log_loss": "the error of its probabilities (log loss)",
    "mae": "the mean distance of its answers from the truth",
    "mse": "the mean squared distance of its answers from the truth",
}


class Shift(StrEnum):
    """What moved, as far as labels and estimate tell."""

    NONE = "none"
    DATA = "data"  # rows are others, and what becomes of such rows is what it was
    CONCEPT = "concept"  # what becomes of the same rows is something else
    PRIOR = "prior"  # one outcome is more frequent, and each looks as it did
    BOTH = "data and concept"
    UNKNOWN = "unknown"  # no labels yet, or no estimate to hold them against


def tell(window: Window) -> Shift:
    """What moved, from the signals of a window."""
    told = _expectation(window)
    if not told:
        return Shift.UNKNOWN
    gap, after = told["gap"], told.get("after_labels")
    holdout = float(_details(window, SignalKind.REALISED)["holdout"])
    expected_more = told["expected"] - holdout
    sure = gap > max(_CERTAIN * told["gap_error"], _WORTH * holdout)
    labels = told.get("labels", {"evidence": 0.0, "came": 0.0, "held": 0.0})
    others = labels["evidence"] > _EVIDENCE and abs(labels["came"] - labels["held"]) > _RISEN * labels["held"]
    if others and (not sure or abs(after or 0.0) < _LEFT * gap):
        return Shift.PRIOR
    moved = window.raised(SignalKind.INPUT_DRIFT) or expected_more > _RISEN * holdout
    if sure:
        return Shift.BOTH if moved else Shift.CONCEPT
    return Shift.DATA if moved or window.raised(SignalKind.ESTIMATE) else Shift.NONE


def explain(window: Window, earlier: Sequence[Window] = ()) -> str:
    """What moved in a window, for people who own the product; `earlier` are the windows before it, in any order.

    Empty where nothing was measured at all.
    """
    return " ".join(_sentences(window, tell(window), sorted(earlier, key=lambda each: each.until)))


def _sentences(window: Window, shift: Shift, earlier: Sequence[Window]) -> Iterator[str]:
    if not any(window.signal(kind) for kind in (SignalKind.INPUT_DRIFT, SignalKind.ESTIMATE, SignalKind.REALISED)):
        return
    realised = window.signal(SignalKind.REALISED)
    if shift is Shift.UNKNOWN:
        yield from _without_labels(window)
    else:
        yield _WORDS[shift](window)
    if realised is not None and realised.value is not None:
        yield _how_much(realised, _details(window, SignalKind.REALISED))
    if since := _since(window, earlier):
        yield since


def _without_labels(window: Window) -> Iterator[str]:
    estimate, moved = window.signal(SignalKind.ESTIMATE), window.raised(SignalKind.INPUT_DRIFT)
    harder = estimate is not None and estimate.raised
    if harder:
        yield "The rows are harder for the model than those that it was tested on: it is less sure of its answers."
    elif moved:
        drifted = "The rows are others than those that the model learnt from"
        calm = estimate is not None and estimate.value is not None
        yield f"{drifted}; its answers should be as good on them as before." if calm else f"{drifted}."
    else:
        yield "The rows look as they did when the model was trained."
    realised = window.signal(SignalKind.REALISED)
    if realised is None or realised.value is None:
        yield "Whether the same rows still have the same outcomes cannot be told before labels are in."
    else:
        yield "Whether rows or outcomes changed cannot be told apart, as there is no estimate beside the labels."


def _none(window: Window) -> str:
    if window.raised(SignalKind.REALISED):
        return "Rows and outcomes are as before, and the loss is a little higher than on the holdout."
    return "Nothing moved that matters: rows and outcomes are as they were when the model was trained."


def _data(window: Window) -> str:
    head = "The rows changed, the rule behind them did not: what became of them is what the model's certainty promised."
    if window.raised(SignalKind.REALISED):
        return f"{head} There are more rows of kinds that it was always worse at; training on them may help."
    return f"{head} No harm is seen."


def _concept(window: Window) -> str:
    told = _expectation(window)
    return (
        "The rule behind the data changed: the rows are much as before, and rows like those that the model was tested "
        f"on have other outcomes now. On these rows the loss should be {told['expected']:.3g}, and is "
        f"{told['loss']:.3g}. Only newer labels can teach it."
    )


def _prior(window: Window) -> str:
    moved = _expectation(window)["labels"]
    more = "more" if moved["came"] > moved["held"] else "less"
    return (
        f"One outcome became {more} frequent: {moved['label']!r} came true of {moved['came']:.0%}, and of "
        f"{moved['held']:.0%} on the holdout. Each outcome looks as it did before, so the rule still tells them apart, "
        "and its probabilities are off by the new shares; training on newer rows corrects them."
    )


def _both(window: Window) -> str:
    told = _expectation(window)
    return (
        "The rows changed, and that does not explain the loss: on such rows it should be "
        f"{told['expected']:.3g}, and is {told['loss']:.3g}. Either the rule behind the data changed as well, or many "
        "rows are of a kind that the model was hardly tested on. Newer labels teach both."
    )


_WORDS = {Shift.NONE: _none, Shift.DATA: _data, Shift.CONCEPT: _concept, Shift.PRIOR: _prior, Shift.BOTH: _both}


def _how_much(realised: Signal, details: Mapping[str, Any]) -> str:
    what = _WHAT.get(details.get("metric", ""), "the loss")
    known = f"{what[0].upper()}{what[1:]} is {realised.value:.3g} on labelled answers"
    share = details.get("share_labelled")
    some = f" ({share:.0%} of all have a label)" if share is not None else ""
    return f"{known}{some}, and was {details['holdout']:.3g} on the holdout."


def _since(window: Window, earlier: Sequence[Window]) -> str:
    """Since when the loss is over its bound, by the labels, or for how many windows anything was raised."""
    if window.raised(SignalKind.REALISED) and (told := _details(window, SignalKind.REALISED).get("since")):
        return f"It shows in labels since {datetime.fromisoformat(told):%Y-%m-%d %H:%M} UTC."
    for kind, what in ((SignalKind.ESTIMATE, "estimate"), (SignalKind.INPUT_DRIFT, "drift of the inputs")):
        if not window.raised(kind):
            continue
        same = [each for each in earlier if each.version == window.version]
        calm = next((place for place, each in enumerate(reversed(same)) if not each.raised(kind)), len(same))
        if calm:
            return f"The {what} has been raised for {calm + 1} windows, since {same[-calm].since:%Y-%m-%d %H:%M} UTC."
    return ""


def _expectation(window: Window) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _details(window, SignalKind.REALISED).get("expectation", {})
    return found


def _details(window: Window, kind: SignalKind) -> Mapping[str, Any]:
    signal = window.signal(kind)
    return signal.details if signal is not None else {}
