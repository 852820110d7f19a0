"""What a run leaves that a person has to answer."""

from evergreen.gate.decision import DecisionKind


def test_a_challenger_that_waits_is_registered_tried_and_shown_with_how_to_answer(
    project, retrain, flow_run, first_moment
):
    project.change(promotion={"mode": "approval", "approve_within": "2d"})
    conclusion = retrain(model="tiny", as_of=first_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert project.champion() is None
    (entry,) = project.ledger.pending("tiny")
    assert (entry.id, entry.version) == (conclusion.ledger_id, 1)
    assert (conclusion.answer_by - entry.decided_at).days == 2
    seen = flow_run(entry.flow_run)
    names = [run.name for run in seen["tasks"]]
    assert names[-4:] == ["register", "smoke test", "record", "conclude"]
    assert seen["name"] == f"tiny-manual: HOLD decision {entry.id}"
    shown = seen["artifacts"]["tiny-decision"]
    assert f"evergreen approve {entry.id}" in shown
    assert f"{conclusion.answer_by:%Y-%m-%d %H:%M} UTC" in shown


def test_data_that_broke_their_rules_leave_nothing_to_approve(crowned, retrain, flow_run):
    crowned.change(schema__rows={"at_least": 100000})
    conclusion = retrain(model="tiny")
    assert conclusion.answer_by is None
    (entry, *_) = crowned.ledger.entries("tiny")
    seen = flow_run(entry.flow_run)
    assert seen["name"] == "tiny-manual: HOLD"
    assert "evergreen approve" not in seen["artifacts"]["tiny-decision"]
