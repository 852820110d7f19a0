"""What is old and rests on nothing goes; what the ledger needs stays, whoever prunes and wherever it is killed."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evergreen.data.write import publish
from evergreen.errors import UserError
from evergreen.gate.decision import DecisionKind
from evergreen.registry import deletion
from evergreen.registry.model import load
from evergreen.registry.versions import StaleChampion
from evergreen.stages import leftovers
from evergreen.stages import prune as stage
from evergreen.stages.audit import audit
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.promote import promote
from evergreen.stages.prunable import Rules, Thing
from evergreen.stages.reproduce import find_recorded
from evergreen.stages.rollback import Target, rollback
from evergreen.store.entry import Cause
from evergreen.store.pruned import Kind, PrunedLog
from evergreen.store.turn import take_turn
from tests.succession import BEFORE, CHAMPION, WAITING, decide, snapshot_of

LATER = datetime.now(UTC) + timedelta(days=400)
SOON = datetime.now(UTC) + timedelta(days=100)


def pruning(project, now=LATER, keep=0, model=None, **rules):
    return stage.Pruning(project.settings, Rules(keep=keep, **rules), "tom", now, model)


def prune(project, **how):
    asked = pruning(project, **how)
    return stage.prune(stage.plan(asked), asked)


def names(plan, thing):
    return {item.name for item in plan.items if item.thing is thing}


def problems(project):
    return [problem.what for problem in audit(project.settings).problems]


@pytest.mark.parametrize(
    ("keep", "goes"), [(0, {"1", "2", "3"}), (1, {"1", "2", "3"}), (2, {"1", "3"}), (3, {"3"}), (9, {"3"})]
)
def test_past_champions_beyond_the_newest_go_and_what_never_was_champion(aged, keep, goes):
    assert names(stage.plan(pruning(aged, keep=keep)), Thing.VERSION) == goes


def test_nothing_goes_that_was_champion_or_decided_on_lately(aged):
    assert stage.plan(pruning(aged, now=SOON)).items == ()


def test_a_look_changes_nothing(aged):
    before = aged.state(), aged.files("artifacts", "snapshots", "work", "champions")
    stage.plan(pruning(aged))
    assert (aged.state(), aged.files("artifacts", "snapshots", "work", "champions")) == before


def test_what_goes_is_gone_and_what_stays_is_whole(aged):
    kept = [snapshot_of(aged, number) for number in (BEFORE, CHAMPION, WAITING)]
    gone = [snapshot_of(aged, number) for number in (1, 2, 3)]
    runs = {number: aged.registry.version(aged.model, number).run_id for number in range(1, 7)}
    state, size = aged.state(), stage.plan(pruning(aged)).size
    done = prune(aged)
    assert (names(done, Thing.VERSION), done.left) == ({"1", "2", "3"}, ())
    assert aged.state() == state | {"versions": (6, 5, 4)}
    left = {run.info.run_id for run in aged.parents()}
    assert left == {runs[number] for number in (BEFORE, CHAMPION, WAITING)}
    assert [path.exists() for path in (*kept, *gone)] == [True] * 3 + [False] * 3
    # Besides: a model is some 30 kB, and each of four runs had one or a reference.
    assert done.size == size > 50_000
    files = "\n".join(aged.files("artifacts"))
    assert [number for number, run_id in runs.items() if run_id in files] == [4, 5, 6]
    assert problems(aged) == []
    assert aged.ledger.verify() == ()


def test_doing_it_again_does_nothing(aged):
    prune(aged)
    assert prune(aged) == stage.Plan()


def test_what_went_is_written_down(aged):
    run_id = aged.registry.version(aged.model, 2).run_id
    digest = snapshot_of(aged, 2).stem
    prune(aged)
    log = PrunedLog(aged.settings.store_url)
    note = log.version(aged.model, 2)
    assert note.said.startswith(f"pruned on {LATER:%Y-%m-%d} by tom: champion until ")
    assert log.find(aged.model, Kind.RUN, run_id).size > 1000
    assert log.find("", Kind.SNAPSHOT, digest).why == "no version, decision or run needs it"


def test_a_rollback_says_who_pruned_its_target(aged):
    prune(aged)
    with pytest.raises(UserError, match=rf"version 2 of tiny was pruned on {LATER:%Y-%m-%d} by tom"):
        rollback(aged.model, Target(2), "eva", "better then", aged.settings, LATER)
    assert aged.champion() == CHAMPION


def test_reproducing_says_who_pruned_the_version(aged):
    prune(aged)
    with pytest.raises(UserError, match=rf"version 2 of tiny was pruned on {LATER:%Y-%m-%d} by tom"):
        find_recorded(aged.model, 2, aged.settings)
    with pytest.raises(UserError, match="version 2 of tiny was pruned on"):
        registry_of(aged.settings).version(aged.model, 2)


def test_of_one_model_only_what_is_its_own_goes(aged):
    foreign = Path(aged.settings.snapshots) / f"{'0' * 64}.parquet"
    foreign.write_bytes(b"of another model")
    done = prune(aged, model=aged.model)
    assert {item.thing for item in done.items} == {Thing.VERSION, Thing.RUN, Thing.SNAPSHOT}
    assert foreign.exists()
    assert names(prune(aged), Thing.SNAPSHOT) == {"0" * 64, snapshot_digest(7)}


def snapshot_digest(number):
    from hashlib import sha256

    return sha256(f"snapshot {number}".encode()).hexdigest()


def test_a_model_that_is_being_trained_is_left_alone_with_its_snapshots(aged):
    planned = stage.plan(pruning(aged))
    with take_turn(aged.settings.store_url, aged.model, "run 7", LATER):
        busy = stage.plan(pruning(aged))
        assert busy.left == ("tiny is being worked on (run 7); left alone",)
        assert names(busy, Thing.VERSION) == set()
        done = stage.prune(planned, pruning(aged))
    assert {item.thing for item in done.items} <= {Thing.WORK, Thing.CACHE}
    assert ["tiny: a run has its turn" in line for line in done.left] == [True, True]
    assert aged.registry.versions(aged.model) == (6, 5, 4, 3, 2, 1)


def write_spec(project, name, text):
    (project.settings.configs / f"{name}.yaml").write_text(text)


def test_while_the_first_run_of_a_model_is_at_work_its_snapshot_is_left_alone(aged):
    write_spec(aged, "second", (aged.settings.configs / "tiny.yaml").read_text().replace("tiny", "second"))
    with take_turn(aged.settings.store_url, "second", "run 1", LATER):
        done = prune(aged)
    assert names(done, Thing.SNAPSHOT) == set()
    assert ["second: a run has its turn" in line for line in done.left] == [True]
    assert names(prune(aged), Thing.SNAPSHOT) != set()


def test_a_spec_that_nobody_can_read_may_be_of_a_run_at_work(aged):
    write_spec(aged, "second", "model: [")
    done = prune(aged)
    assert names(done, Thing.SNAPSHOT) == set()
    assert [line.endswith("snapshots are left alone") for line in done.left] == [True]


def test_a_snapshot_that_was_taken_again_since_the_plan_stays(aged):
    digests, planned = [snapshot_of(aged, number).stem for number in (2, 3)], stage.plan(pruning(aged))
    again = Path(aged.settings.snapshots) / "again"
    again.write_bytes(b"snapshot 2")
    publish(again, aged.settings.snapshots)
    gone = names(stage.prune(planned, pruning(aged)), Thing.SNAPSHOT)
    assert [digest in gone for digest in digests] == [False, True]


def test_a_version_that_somebody_goes_back_to_in_the_last_moment_goes_and_stops_nobody(aged, monkeypatch):
    known, late = aged.ledger.about(aged.model, 2)[0], []
    note = PrunedLog.note

    def then_go_back(log, item, since=None):
        noted = note(log, item, since)
        if (item.kind, item.name) == (Kind.VERSION, "2"):
            late.append(aged.ledger.record(replace(known, id=None, champion_before=5, fence=None, training_key=None)))
        return noted

    with monkeypatch.context() as patch:
        patch.setattr(PrunedLog, "note", then_go_back)
        assert names(prune(aged), Thing.VERSION) == {"1", "2", "3"}
    with pytest.raises(StaleChampion, match="version 2 of tiny was pruned on"):
        promote(late[0], aged.settings, LATER)
    assert (aged.champion(), aged.ledger.unfinished(aged.model)) == (CHAMPION, ())


def test_a_version_that_somebody_deletes_meanwhile_is_passed_over(aged, monkeypatch):
    planned, find = stage.plan(pruning(aged)), stage.find_versions

    def then_delete(shelf):
        found = list(find(shelf))
        tracking_of(aged.settings).client.delete_model_version(aged.model, "2")
        return found

    monkeypatch.setattr(stage, "find_versions", then_delete)
    done = stage.prune(planned, pruning(aged))
    assert names(done, Thing.VERSION) == {"1", "3"}
    assert [line.startswith("tiny has no version 2") for line in done.left] == [True]


def test_the_reference_of_a_champion_that_came_back_since_the_plan_stays(aged):
    runs = [aged.registry.version(aged.model, number).run_id for number in (2, 3)]
    folders = [aged.settings.home / "champions" / run for run in runs]
    for folder in folders:
        folder.mkdir(parents=True)
    planned = stage.plan(pruning(aged))
    assert names(planned, Thing.CACHE) >= set(map(str, folders))
    go_back(aged, 2)
    stage.prune(planned, pruning(aged))
    assert [folder.exists() for folder in folders] == [True, False]


def go_back(project, number):
    """A rollback without its smoke test."""
    entry = project.ledger.about(project.model, number)[0]
    changes = {"id": None, "kind": DecisionKind.PROMOTE, "cause": Cause.ROLLBACK, "intention": None, "mlflow_run": None}
    fence, before = project.ledger.fence(project.model), project.champion()
    entry = replace(entry, **changes, champion_before=before, champion_after=number, fence=fence, training_key=None)
    promote(project.ledger.record(entry), project.settings, datetime.now(UTC))


def test_what_came_to_be_needed_since_the_plan_stays_with_its_run(aged):
    planned = stage.plan(pruning(aged))
    go_back(aged, 2)
    done = stage.prune(planned, pruning(aged))
    # Nor does the one that a further rollback would go back to.
    assert names(done, Thing.VERSION) == {"3"}
    champion = registry_of(aged.settings).champion(aged.model)
    assert champion.version == 2
    load(tracking_of(aged.settings), champion.source, champion.digest)
    assert problems(aged) == []


def test_a_version_that_somebody_registered_by_hand_is_theirs(aged):
    client = tracking_of(aged.settings).client
    known = client.get_model_version(aged.model, "1")
    client.create_model_version(aged.model, known.source)
    prune(aged)
    assert aged.registry.versions(aged.model) == (7, 6, 5, 4)


def test_files_of_this_machine_go_once_they_are_old(aged):
    home, old = aged.settings.home, (LATER - timedelta(days=700)).timestamp()
    work = home / "work" / "0123456789abcdef"
    work.mkdir(parents=True)
    trial, young = work / "trial-1.json", home / "work" / "fedcba9876543210"
    trial.write_text("{}")
    young.mkdir()
    unfinished = Path(aged.settings.snapshots) / ".unfinished-abc.parquet"
    unfinished.write_bytes(b"half")
    for path in (trial, work, unfinished):
        os.utime(path, (old, old))
    now = datetime.now(UTC)
    assert names(prune(aged, now=now), Thing.WORK) == {str(work)}
    assert (work.exists(), young.exists(), unfinished.exists()) == (False, True, False)


def test_a_training_that_is_at_work_keeps_its_folder(aged):
    from evergreen.store.lock import exclusive

    (folder,) = (path for path in (aged.settings.work).iterdir() if path.is_dir())
    with exclusive(folder.with_suffix(".lock")):
        done = prune(aged)
    assert folder.exists()
    assert f"{folder} is being worked on; left alone" in done.left
    prune(aged)
    assert not folder.exists()


def test_too_short_an_age_is_refused(aged):
    with pytest.raises(UserError, match="a day at least"):
        stage.plan(pruning(aged, older_than=timedelta(hours=3)))


class Killed(BaseException):
    """What no stage may catch."""


def mortal(monkeypatch, client):
    """Whoever removes or writes down one thing dies right after it."""

    def die_after(owner, name, did=lambda answer, *_: True):
        real = getattr(owner, name)

        def then_die(*args, **kwargs):
            there = [Path(value).exists() for value in args if isinstance(value, str) and value.startswith("/")]
            answer = real(*args, **kwargs)
            if did(answer, there):
                raise Killed
            return answer

        monkeypatch.setattr(owner, name, then_die)

    die_after(PrunedLog, "note", lambda answer, *_: answer)
    die_after(deletion, "_remove_files", lambda _, there: any(there))
    die_after(leftovers, "remove_snapshot")
    die_after(leftovers, "remove_files")
    for name in ("delete_model_version", "delete_logged_model", "delete_run"):
        die_after(type(client), name)


def test_killed_after_every_step_the_audit_stays_clean_and_the_next_one_goes_on(crowned, monkeypatch):
    decide(crowned, 2, DecisionKind.REJECT)
    things = [item.thing for item in stage.plan(pruning(crowned)).items]
    assert things == [Thing.VERSION, Thing.RUN, Thing.SNAPSHOT, Thing.WORK]
    kills = 0
    with monkeypatch.context() as patch:
        mortal(patch, tracking_of(crowned.settings).client)
        while True:
            try:
                prune(crowned)
                break
            except Killed:
                kills += 1
            assert problems(crowned) == []
            assert registry_of(crowned.settings).champion(crowned.model).version == 1
    # Noted and deleted: a version; a run, its trial, its model and two folders; a snapshot; and a folder of work.
    assert kills == 2 + 6 + 2 + 1
    assert crowned.registry.versions(crowned.model) == (1,)
    assert len(crowned.parents()) == 1
    assert stage.plan(pruning(crowned)) == stage.Plan()
    assert sorted(PrunedLog(crowned.settings.store_url).of(crowned.model, Kind.VERSION)) == ["2"]


def test_a_version_whose_pruning_was_cut_short_is_nobodys(crowned, monkeypatch):
    entry = decide(crowned, 2, DecisionKind.REJECT)
    with monkeypatch.context() as patch:
        mortal(patch, tracking_of(crowned.settings).client)
        with pytest.raises(Killed):
            prune(crowned)
    assert crowned.registry.versions(crowned.model) == (2, 1)
    (note,) = audit(crowned.settings).notes
    assert note.what.startswith("version 2 was pruned on ")
    # The same training again comes to a version of its own.
    again = decide(crowned, 2, DecisionKind.PROMOTE)
    assert (entry.version, again.version, crowned.champion()) == (2, 3, 3)
    prune(crowned)
    assert crowned.registry.versions(crowned.model) == (3, 1)
    assert problems(crowned) == []


def test_a_promotion_that_a_pruning_overtook_is_withdrawn(crowned, monkeypatch):
    entry = decide(crowned, 2, DecisionKind.REJECT)
    prune(crowned)
    again = replace(entry, id=None, kind=DecisionKind.PROMOTE, champion_after=2)
    again = crowned.ledger.record(again)
    with pytest.raises(StaleChampion, match="version 2 of tiny was pruned on"):
        promote(again, crowned.settings, LATER)
    assert (crowned.champion(), crowned.ledger.unfinished(crowned.model)) == (1, ())
    assert crowned.registry.aliases(crowned.model) == {"champion": 1}
