"""What `evergreen run` tells other programs: an exit code and a file."""

from types import SimpleNamespace

import pytest
import typer

from evergreen.cli.outcome import UNWANTED, exit_code, parse_kinds
from evergreen.gate.decision import DecisionKind


def ended(*kinds):
    return [
        SimpleNamespace(report=SimpleNamespace(decision=SimpleNamespace(kind=DecisionKind(kind)))) for kind in kinds
    ]


@pytest.mark.parametrize(
    ("decisions", "unwanted", "code"),
    [
        (["PROMOTE"], "reject,hold", 0),
        (["SKIP"], "reject,hold", 0),
        (["REJECT"], "reject,hold", UNWANTED),
        (["HOLD"], "reject", 0),
        (["PROMOTE", "HOLD", "PROMOTE"], "Hold", UNWANTED),
        (["REJECT"], None, 0),
    ],
)
def test_a_decision_is_an_error_only_to_those_who_say_so(decisions, unwanted, code):
    kinds = parse_kinds(unwanted) if unwanted else frozenset()
    assert exit_code(ended(*decisions), kinds) == code


@pytest.mark.parametrize("text", ["", " , ", "rejected", "reject;hold"])
def test_a_decision_that_does_not_exist_is_refused(text):
    with pytest.raises(typer.BadParameter, match="choose from promote, hold, reject, skip"):
        parse_kinds(text)


@pytest.mark.slow
def test_a_run_that_is_rejected_fails_where_it_is_asked_to_and_says_why_in_a_file(
    project, process, orchestrator, tmp_path
):
    project.change(gates__absolute={"accuracy": {"at_least": 1.0}}, gates__against_champion=None)
    places = {"EVERGREEN_HOME": str(project.settings.home), "EVERGREEN_CONFIGS": str(project.settings.configs)}
    project.change(data__source__path=str(project.table))
    summary = tmp_path / "decision.md"
    words = ("run", "tiny", "--as-of", "2026-04-01", "--dry-run", "--fail-on", "reject,hold", "--summary", summary)
    answer = process(*words, PREFECT_API_URL=orchestrator, **places)
    assert answer.code == UNWANTED, answer.text
    text = summary.read_text()
    assert text.startswith("## ")
    assert "is rejected" in text
    assert "| accuracy" in text
    assert project.decisions() == []
