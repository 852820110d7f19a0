from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from evergreen.errors import EvergreenError, SpecError
from evergreen.evaluation.evaluate import EvaluationRules, evaluate
from evergreen.evaluation.latency import ROWS, WARM_UP, measure_latency
from evergreen.evaluation.predict import Contender, Holdout, answer
from evergreen.evaluation.result import Evaluation
from evergreen.spec.rules import AgainstChampion, SliceRules

START = datetime(2024, 1, 1, tzinfo=UTC)


def table(rows: int = 900, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    late = np.where(x + rng.logistic(size=rows) * 0.4 > 0, "late", "on time")
    at = pd.Timestamp("2024-01-01").as_unit("us") + pd.to_timedelta(np.sort(rng.random(rows)) * 15, unit="D")
    region = pd.Categorical(rng.choice(["north", "south", None], rows, p=[0.6, 0.35, 0.05]))
    y = 3 * x + rng.normal(size=rows)
    noise = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "noise": noise, "region": region, "at": at.as_unit("us"), "late": late, "y": y})


def fitted(estimator, columns: list[str], target: str = "late") -> Pipeline:
    frame = table(seed=1)
    return make_pipeline(ColumnTransformer([("inputs", "passthrough", columns)]), estimator).fit(frame, frame[target])


def holdout(target: str = "late", rows: int = 900, in_time: bool = True) -> Holdout:
    frame = table(rows)
    return Holdout(frame.drop(columns=["late", "y"]), frame[target], frame["at"] if in_time else None)


GOOD = Contender(fitted(LogisticRegression(), ["x", "noise"]), size_mb=0.5, cross_validated=0.9)
POOR = Contender(
    fitted(LogisticRegression(), ["noise"]), version=9, trained_until=START - timedelta(days=1), size_mb=0.2
)
RULES = EvaluationRules("classification", "f1_weighted")


def run(challenger=GOOD, champion=POOR, rules=RULES, on: Holdout | None = None) -> Evaluation:
    learned = table(seed=1)["late" if rules.task == "classification" else "y"]
    return evaluate(on or holdout(), challenger, champion, rules, learned)


def test_both_models_answer_for_the_same_rows_and_each_metric_is_its_own():
    forth, back = run(), run(challenger=replace(POOR, version=None), champion=replace(GOOD, version=9))
    assert forth.challenger.metrics == back.champion.metrics != forth.champion.metrics
    assert forth.champion.metrics == back.challenger.metrics
    assert forth.comparison.difference == pytest.approx(-back.comparison.difference)
    assert forth.comparison.lower > 0 > back.comparison.upper
    assert forth.comparison.challenger == forth.challenger.metrics["f1_weighted"]
    assert (forth.flips.negative, forth.flips.positive) == (back.flips.positive, back.flips.negative)
    assert (forth.challenger.size_mb, forth.champion.size_mb) == (0.5, 0.2)


def test_an_error_metric_is_compared_so_that_positive_is_better():
    good, poor = (
        Contender(fitted(LinearRegression(), columns, "y"), version=v) for columns, v in ((["x"], None), (["noise"], 2))
    )
    found = run(good, poor, EvaluationRules("regression", "rmse"), holdout("y"))
    assert found.challenger.metrics["rmse"] < found.champion.metrics["rmse"]
    assert found.comparison.lower > 0
    assert found.flips is None
    assert found.challenger.metrics["rmse"] < found.dummy


def test_a_first_challenger_has_no_champion_to_be_compared_with():
    found = run(champion=None)
    assert (found.champion, found.comparison, found.comparison_note) == (None, None, "no champion yet")


class Broken(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["late", "on time"])

    def predict(self, X):
        raise KeyError("distance")


@pytest.mark.parametrize(
    ("challenger", "champion", "who"),
    [(GOOD, Contender(Broken(), version=7), r"champion \(version 7\)"), (Contender(Broken()), None, "challenger")],
)
def test_a_model_that_cannot_predict_is_an_error_and_never_no_champion(challenger, champion, who):
    with pytest.raises(EvergreenError, match=rf"{who} cannot predict the holdout \(KeyError: 'distance'\)"):
        run(challenger, champion)


@pytest.mark.parametrize(("days", "saw"), [(-1.0, False), (0.5, True), (400.0, True), (None, False)])
def test_a_champion_that_learned_from_the_holdout_is_not_compared_with(days, saw):
    until = None if days is None else START + timedelta(days=days)
    found = run(champion=replace(POOR, trained_until=until), rules=replace(RULES, slices=SliceRules(by=("region",))))
    assert found.champion_saw_holdout is saw
    assert (found.comparison is None) == (found.flips is None) == saw
    assert all((part.champion is None) == saw for part in found.slices)
    assert ("trained on rows of this holdout" in found.comparison_note) == saw


@pytest.mark.parametrize(
    ("of_champion", "of_holdout", "until", "saw"),
    [
        ("a", "a", None, False),
        ("a", "b", None, True),
        ("", "b", None, True),
        ("", "b", START - timedelta(days=1), True),
        ("a", "", None, True),
    ],
)
def test_a_champion_of_another_draw_knows_most_of_the_holdout(of_champion, of_holdout, until, saw):
    on = replace(holdout(in_time=of_holdout == ""), draw=of_holdout)
    found = run(champion=replace(POOR, trained_until=until, draw=of_champion), on=on)
    assert found.champion_saw_holdout is saw
    assert (found.comparison is None) == (found.flips is None) == saw
    assert ("drawn in another way" in found.comparison_note) == (saw and of_holdout != "")


def test_rows_in_time_are_compared_by_blocks_and_others_one_by_one():
    assert run().comparison.blocks == 15
    assert run(on=holdout(in_time=False)).comparison.blocks is None


def test_a_holdout_of_too_few_days_is_not_compared_and_says_what_to_do():
    rules = replace(RULES, against_champion=AgainstChampion(metric="accuracy", block=timedelta(days=5)))
    found = run(rules=rules)
    assert found.comparison is None
    assert "gates.against_champion.block" in found.comparison_note


class OneClass(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["late"])

    def predict(self, X):
        return np.array(["late"] * len(X), dtype=object)

    def predict_proba(self, X):
        return np.ones((len(X), 1))


def test_models_that_know_different_classes_are_compared_over_all_of_them():
    found = run(champion=Contender(OneClass(), version=1))
    assert found.champion.metrics["roc_auc"] == 0.5
    assert found.champion.metrics["accuracy"] == (holdout().y == "late").mean()


def test_a_holdout_of_one_class_is_compared_only_where_the_metric_exists():
    on = holdout()
    late = (on.y == "late").to_numpy()
    on = Holdout(
        on.frame[late].reset_index(drop=True), on.y[late].reset_index(drop=True), on.times[late].reset_index(drop=True)
    )
    found = run(on=on, rules=replace(RULES, against_champion=AgainstChampion(metric="roc_auc")))
    assert found.comparison is None
    assert "roc_auc cannot be computed" in found.comparison_note
    assert found.challenger.metrics["accuracy"] is not None


@pytest.mark.parametrize("estimator", [DecisionTreeClassifier(max_depth=3), HistGradientBoostingClassifier(max_iter=5)])
def test_labels_taken_from_probabilities_are_the_ones_a_server_would_give(estimator):
    model = fitted(estimator, ["x", "noise"])
    assert list(answer(Contender(model), holdout().frame).predicted) == list(model.predict(holdout().frame))


class Cautious(DecisionTreeClassifier):
    def predict(self, X):
        return np.where(self.predict_proba(X)[:, 0] > 0.9, "late", "on time")


def test_a_model_with_a_threshold_of_its_own_is_asked_for_its_labels():
    model = fitted(Cautious(max_depth=3), ["x", "noise"])
    assert list(answer(Contender(model), holdout().frame).predicted) == list(model.predict(holdout().frame))


def test_slices_hold_every_value_with_enough_rows_and_the_missing_ones():
    rules = replace(RULES, slices=SliceRules(by=("region",), min_rows=40))
    parts = run(rules=rules).slices
    frame = holdout().frame
    counts = frame["region"].astype(object).fillna("(missing)").value_counts()
    assert {part.value: part.rows for part in parts} == counts[counts >= 40].to_dict()
    assert all(part.lower <= part.difference <= part.upper for part in parts if part.lower is not None)
    assert {
        part.value for part in run(rules=replace(RULES, slices=SliceRules(by=("region",), min_rows=400))).slices
    } == {"north"}


def test_a_challenger_that_fails_one_group_is_seen_in_its_slice():
    spoil = FunctionTransformer(lambda frame: frame.assign(x=frame["x"].where(frame["region"] != "south", -frame["x"])))
    spoilt = Contender(Pipeline([("spoil", spoil), *GOOD.model.steps]))
    parts = run(
        spoilt, replace(GOOD, version=3), replace(RULES, slices=SliceRules(by=("region",), min_rows=100))
    ).slices
    by_value = {part.value: part for part in parts}
    assert by_value["south"].upper < -0.3
    assert by_value["north"].difference == 0


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("accuracy", 0.6), ("roc_auc", 0.5), ("log_loss", -(0.6 * np.log(0.6) + 0.4 * np.log(0.4)))],
)
def test_the_dummy_answers_with_what_was_most_frequent_in_training(metric, expected):
    y = pd.Series(["late"] * 60 + ["on time"] * 40)
    on = Holdout(table(100).drop(columns=["late", "y"]), y)
    assert evaluate(on, GOOD, None, EvaluationRules("classification", metric), y).dummy == pytest.approx(expected)


def test_an_unknown_metric_is_refused_before_anything_is_predicted():
    with pytest.raises(SpecError, match=r"gates\.against_champion\.metric"):
        run(Contender(Broken()), rules=replace(RULES, against_champion=AgainstChampion(metric="rmse")))


def test_latency_is_the_95th_percentile_of_warm_single_rows():
    ticks = iter(
        [*range(2 * WARM_UP), *(t for row in range(ROWS) for t in (1000 + row, 1000 + row + (row + 1) / 1000))]
    )
    sizes = []

    class Counting:
        def predict(self, X):
            sizes.append(len(X))

    assert measure_latency(Counting(), table(), clock=lambda: next(ticks)) == pytest.approx(95.05, abs=0.01)
    assert set(sizes) == {1}
    assert measure_latency(Counting(), table().head(0)) is None


def test_what_was_given_is_not_changed():
    on = holdout()
    before = on.frame.copy()
    run(on=on)
    pd.testing.assert_frame_equal(on.frame, before)
