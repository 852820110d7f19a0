"""A random holdout is held out of the champion's training too, or the champion is not compared with."""

from contextlib import chdir

import pytest

from evergreen.gate.decision import DecisionKind


@pytest.fixture
def drawn(project, shopper_table):
    """A project with a random split; the table has a column that no feature is made of yet, and a name of each row."""
    return write_drawn(project, shopper_table())


def write_drawn(project, table):
    project.write(table.assign(extra=table["waited"].rank(), name=[f"n{row}" for row in range(len(table))]))
    project.change(training__split={"kind": "random", "holdout": 0.25})
    return project


@pytest.fixture(scope="module")
def champion_project(prepared_project, copied, shopper_table, first_moment, tmp_path_factory):
    project = write_drawn(copied(prepared_project, tmp_path_factory.mktemp("drawn") / "project"), shopper_table())
    with chdir(project.folder):
        assert project.run(first_moment).champion == 1
    return project


@pytest.fixture
def drawn_champion(champion_project, copied, addresses, tmp_path):
    """The same, with a champion."""
    project = copied(champion_project, tmp_path / "project")
    addresses(project)
    return project


MORE = {"features__numeric": ["waited", "spent", "extra"]}


@pytest.mark.parametrize(
    "changes",
    [
        MORE,
        {"training__split": {"kind": "random", "holdout": 0.25, "seed": 1}},
        {"training__split": {"kind": "time", "holdout": "14d"}},
    ],
    ids=["a feature more", "another seed", "a split by time"],
)
def test_a_champion_that_may_have_seen_the_holdout_leaves_the_decision_to_a_person(
    drawn_champion, first_moment, changes
):
    drawn_champion.change(**changes)
    conclusion = drawn_champion.run(first_moment)
    assert conclusion.evidence.evaluation.champion_saw_holdout
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    (check,) = [c for c in conclusion.evidence.decision.checks if c.name == "against_champion"]
    assert check.outcome == "UNKNOWN"
    assert "trained on rows of this holdout" in check.why
    assert drawn_champion.champion() == 1


def test_rows_that_have_names_keep_their_sides_when_a_feature_is_added(drawn, first_moment):
    drawn.change(data__id_column="name")
    assert drawn.run(first_moment).champion == 1
    drawn.change(**MORE)
    conclusion = drawn.run(first_moment)
    assert not conclusion.evidence.evaluation.champion_saw_holdout
    assert conclusion.evidence.evaluation.comparison is not None
    assert conclusion.champion == 2


def test_a_champion_of_a_split_by_time_has_seen_a_random_holdout(crowned, second_moment):
    crowned.change(training__split={"kind": "random", "holdout": 0.25})
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.evaluation.champion_saw_holdout
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
