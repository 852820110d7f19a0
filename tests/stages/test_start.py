"""A training that goes on from the champion: by the same gate, and trained again from the same beginning."""

from evergreen.registry import provenance as tag
from evergreen.stages.reproduce import find_recorded, reproduce
from tests.project import FIRST, SECOND

LEARNER = {"kind": "custom", "estimator": "sklearn.linear_model:SGDClassifier", "params": {"loss": "log_loss"}}


def test_a_champion_is_gone_on_from_and_the_result_can_be_trained_again(project, caplog, tmp_path):
    project.change(training__start="champion", training__candidates=[LEARNER])
    caplog.set_level("INFO")
    first = project.run(FIRST)
    assert first.champion == 1
    assert "start  " not in caplog.text
    assert tag.STARTED_FROM not in find_recorded(project.model, 1, project.settings).tags
    second = project.run(SECOND)
    assert [trial.recipe.label for trial in second.evidence.trials] == ["custom (continued)"]
    assert "custom: on from version 1, with what is newer than its rows" in caplog.text
    assert second.champion == 2
    recorded = find_recorded(project.model, 2, project.settings)
    assert recorded.tags[tag.STARTED_FROM] == "1"
    again = reproduce(recorded, project.settings, tmp_path / "again")
    assert again.equal
    assert again.notes == ()
