"""Who gets a label: by chance, by version, or by what was predicted; and what a mean over labels then stands for."""

import numpy as np
import pandas as pd
import pytest

from evergreen.monitoring.selection import label_selection, representative


def answers(rows: int, share, seed: int = 0, numbers: bool = False, versions: int = 1) -> pd.DataFrame:
    """Answers of which each has a label with a chance that `share` gives for its prediction and version."""
    draw = np.random.default_rng(seed)
    said = draw.normal(size=rows) if numbers else draw.choice(["no", "yes"], rows, p=[0.8, 0.2])
    frame = pd.DataFrame({"prediction": said, "version": draw.integers(1, versions + 1, rows)})
    chances = [share(*row) for row in zip(frame["prediction"], frame["version"], strict=True)]
    return frame.assign(labelled=draw.random(rows) < chances)


def test_labels_by_chance_are_warned_of_once_in_a_hundred_at_most():
    warned = [label_selection(answers(300, lambda *_: 0.3, seed)).selective for seed in range(300)]
    assert sum(warned) <= 9


@pytest.mark.parametrize("rows", [400, 5000])
def test_labels_that_depend_on_the_prediction_are_found(rows):
    found = label_selection(answers(rows, lambda said, _: 0.5 if said == "yes" else 0.2))
    assert found.selective
    assert [part.name for part in found.by_prediction] == ["no", "yes"]
    assert "yes in" in found.said


def test_numbers_are_looked_at_by_their_tenths():
    found = label_selection(answers(3000, lambda said, _: 0.6 if said > 1 else 0.2, numbers=True))
    assert found.selective
    assert len(found.by_prediction) == 10
    assert sum(part.rows for part in found.by_prediction) == 3000
    assert found.by_prediction[-1].share > 2 * found.by_prediction[0].share


def test_a_version_that_is_labelled_more_and_says_yes_more_is_no_dependence():
    old = answers(2000, lambda *_: 0.1, 1)
    new = answers(2000, lambda *_: 0.9, 2).assign(version=2)
    new.loc[::2, "prediction"] = "yes"
    found = label_selection(pd.concat([old, new], ignore_index=True))
    assert not found.selective
    assert [round(part.share, 1) for part in found.by_version] == [0.1, 0.9]


@pytest.mark.parametrize("labelled", [0, 3])
def test_of_few_labels_nothing_is_said(labelled):
    frame = answers(400, lambda *_: 0.0).assign(labelled=[place < labelled for place in range(400)])
    found = label_selection(frame)
    assert (found.p_value, found.effect, found.selective) == (None, None, False)


def test_where_every_answer_has_its_label_nothing_was_selected():
    found = label_selection(answers(100, lambda *_: 1.1))
    assert (found.effect, found.whole.share) == (0.0, 1.0)


def selective(explored_share: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Alarms are looked into and get labels, others do not; explored answers all do. Beside them, who was wrong."""
    frame = answers(20_000, lambda said, _: 0.9 if said == "yes" else 0.1)
    draw = np.random.default_rng(7)
    explored = draw.random(len(frame)) < explored_share
    wrong = draw.random(len(frame)) < np.where(frame["prediction"] == "yes", 0.5, 0.05)
    return frame.assign(explored=explored, labelled=frame["labelled"] | explored), wrong


@pytest.mark.parametrize(("share", "why"), [(0.05, "explored answers"), (0.0, "weighted by version and prediction")])
def test_a_mean_over_chosen_labels_is_that_over_all_answers(share, why):
    frame, wrong = selective(share)
    found = representative(frame, label_selection(frame))
    assert why in found.why
    assert found.weights.mean() == pytest.approx(1)
    assert np.average(wrong[found.rows], weights=found.weights) == pytest.approx(wrong.mean(), abs=0.03)
    assert wrong[frame["labelled"]].mean() > wrong.mean() + 0.1


def test_labels_that_were_not_selected_all_count_alike():
    frame = answers(500, lambda *_: 0.4)
    found = representative(frame, label_selection(frame))
    assert found.rows.tolist() == np.flatnonzero(frame["labelled"]).tolist()
    assert set(found.weights) == {1.0}


def test_few_explored_answers_do_not_speak_alone():
    frame, _ = selective(0.005)
    assert "weighted" in representative(frame, label_selection(frame)).why
