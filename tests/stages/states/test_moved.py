"""An alias that somebody moved by hand: every place that it can be moved to, by every answer that a spec can give."""

import pytest

from evergreen.errors import IntegrityError, UserError
from evergreen.gate.decision import DecisionKind
from evergreen.notify import words
from evergreen.registry.versions import StaleChampion
from evergreen.stages import answer, promote, rollback, scorer
from evergreen.stages.open import read_champion
from evergreen.stages.settle import find_stranger
from evergreen.store.entry import Cause
from evergreen.store.facts import FactKind
from evergreen.store.outbox import Outbox
from evergreen.store.pins import Pins
from evergreen.store.reconcile import crown_served
from tests.stages.states.people import crowned, go_back, promote_next
from tests.stages.states.registry import MODEL
from tests.stages.states.world import HAND, POINTS, START

TOLD, ADOPTED, BACK = "report", "adoption", "restoration"


def to_a_former_champion(people):
    people.move(1)


def to_a_held_version(people):
    people.start_run(mode="approval", checks=[])
    people.finish_run(kill=None, which=0, sound=True, pinned=False)
    people.move(3)


def to_a_version_that_was_withdrawn(people):
    promote_next(people, met=("after record", "pin for a moment"))
    people.move(3)


def to_a_rejected_version(people):
    to_a_held_version(people)
    (held,) = people.ledger.pending(MODEL)
    answer.reject(held.id, "eva", "no", people.home, people.now)


def to_an_unknown_version(people):
    people.bring_a_version_along()


def away_from_a_pinned_champion(people):
    Pins(people.home.store_url).pin(MODEL, "tom", "audit", people.now)
    people.move(1)


def to_a_version_that_fails_its_smoke_test(people):
    people.move(1)
    people.unsound = {"digest 1"}


def to_nowhere(people):
    people.move(None)


def to_nowhere_while_the_champion_fails_its_smoke_test(people):
    people.move(None)
    people.unsound = {"digest 2"}


def to_another_artifact(people):
    people.move(1)
    people.registry.digests[0] = "changed"


CASES = [
    (to_a_former_champion, ADOPTED, BACK),
    (to_a_held_version, ADOPTED, BACK),
    (to_a_version_that_was_withdrawn, ADOPTED, BACK),
    (to_a_rejected_version, BACK, BACK),
    (to_an_unknown_version, BACK, BACK),
    (to_another_artifact, BACK, BACK),
    (to_a_version_that_fails_its_smoke_test, BACK, BACK),
    (away_from_a_pinned_champion, BACK, BACK),
    (to_nowhere, BACK, BACK),
    (to_nowhere_while_the_champion_fails_its_smoke_test, TOLD, TOLD),
]
TABLE = [(case, policy, end) for case, *ends in CASES for policy, end in zip(("adopt", "restore"), ends, strict=True)]


# Where a run is measured against the version that the alias was moved to: only where production follows it, too.
FOLLOWED = {to_a_former_champion, to_a_version_that_was_withdrawn, to_a_version_that_fails_its_smoke_test}
FOLLOWED |= {away_from_a_pinned_champion}


def refuses(look):
    try:
        return look() is None
    except (IntegrityError, UserError):
        return True


@pytest.mark.parametrize("case", [case for case, *_ in CASES])
def test_nobody_is_measured_against_a_version_that_production_does_not_follow(people, case):
    case(people)
    people.patch.setattr(scorer, "connect", lambda home: (None, people.ledger))
    people.patch.setattr(scorer, "registry_of", lambda home: people.registry)
    measured = refuses(lambda: read_champion(MODEL, people.ledger, people.registry)[0])
    served = refuses(lambda: scorer.find_champion(MODEL, MODEL, people.home))
    assert measured == served == (case not in FOLLOWED)


def told(people):
    """The causes of the facts that people are told about it."""
    facts = Outbox(people.home.store_url).due("mail", [FactKind.ALIAS_MOVED], people.now, START)
    return [fact.payload["cause"] for fact in facts]


@pytest.mark.parametrize(("case", "policy", "end"), [*((case, "report", TOLD) for case, *_ in CASES), *TABLE])
def test_the_alias_ends_where_the_policy_says(people, case, policy, end):
    people.policy = policy
    case(people)
    alias = people.champion
    (line,) = people.settle()
    assert "somebody moved it by hand; " in line
    assert told(people) == [end]
    champion = {TOLD: alias, ADOPTED: alias, BACK: 2}[end]
    assert people.champion == champion
    assert crowned(people) == [1, 2] + [champion] * (end != TOLD)
    assert (find_stranger(people.ledger, people.registry, MODEL) == "") is (end != TOLD)
    again = people.settle()
    assert (again == [line]) if end == TOLD else (again == [])
    assert told(people) == [end], "people are told once"


def test_what_is_adopted_answers_the_person_who_waited(people):
    people.policy = "adopt"
    to_a_held_version(people)
    (held,) = people.ledger.pending(MODEL)
    people.settle()
    done = people.ledger.resolution(held.id)
    assert (done.kind, done.cause, done.version) == (DecisionKind.PROMOTE, Cause.ADOPTION, 3)
    assert (done.champion_before, done.champion_after, done.decided_by) == (2, 3, "evergreen")
    assert [check.name for check in done.checks] == ["accuracy", "smoke_test"]
    assert people.ledger.pending(MODEL) == ()
    assert "challenger" not in people.registry.alias


def test_who_cannot_put_it_back_is_not_sent_to_put_it_back(people):
    people.policy = "restore"
    people.move(1)
    people.unsound = {"digest 2"}
    (line,) = people.settle()
    step = "restore version 2 from its backup, or evergreen rollback churn --to … --why … names another champion"
    assert line.endswith(step)
    (fact,) = Outbox(people.home.store_url).due("mail", [FactKind.ALIAS_MOVED], people.now, START)
    assert step in words.text(fact).body
    with pytest.raises(rollback.UnfitVersion):
        go_back(people)
    assert go_back(people, version=1).champion_after == 1
    assert (people.champion, crowned(people)) == (1, [1, 2, 1])
    assert people.settle() == []


def test_what_is_put_back_says_what_was_found_and_why_it_is_not_adopted(people):
    people.policy = "adopt"
    to_an_unknown_version(people)
    people.settle()
    newest = people.ledger.entries(MODEL)[0]
    assert (newest.kind, newest.cause, newest.champion_before) == (DecisionKind.PROMOTE, Cause.RESTORATION, 3)
    assert newest.reasons[0].endswith("put back on version 2, because no decision speaks of version 3")


@pytest.mark.parametrize(("policy", "held", "end"), [("adopt", True, [1]), ("adopt", False, []), ("restore", True, [])])
def test_without_a_champion_in_the_ledger_nothing_is_put_back(nobody, policy, held, end):
    nobody.policy = policy
    if held:
        nobody.start_run(mode="approval", checks=[])
        nobody.finish_run(kill=None, which=0, sound=True, pinned=False)
        nobody.move(1)
    else:
        nobody.bring_a_version_along()
    nobody.settle()
    assert (nobody.champion, crowned(nobody)) == (1, end)
    assert told(nobody) == [ADOPTED if end else TOLD]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("policy", "end"), [("adopt", 1), ("restore", 2)])
def test_who_is_killed_on_the_way_is_followed_by_somebody_who_finishes_it(people, policy, end, point):
    people.policy = policy
    people.move(1)
    with people.mortally(point):
        people.settle()
    people.settle()
    assert people.settle() == []
    assert people.champion == end
    assert crowned(people) == [1, 2, end]
    assert told(people) == [ADOPTED if policy == "adopt" else BACK]
    written = [entry.cause for entry in people.ledger.entries(MODEL)]
    assert len(written) == 3, "one decision, whoever finished it"


@pytest.mark.parametrize("finisher", ["the next run", "who promotes next"])
def test_an_adoption_that_was_cut_short_does_not_pass_a_pin(people, finisher):
    people.policy = "adopt"
    people.move(1)
    with people.mortally("after record"):
        people.settle()
    assert people.ledger.unfinished(MODEL)[0].cause is Cause.ADOPTION
    Pins(people.home.store_url).pin(MODEL, "tom", "audit", people.now)
    if finisher == "the next run":
        assert "is withdrawn: version 2 of churn is pinned by tom: audit" in people.settle()[0]
    else:
        with people.registry.turn(MODEL):
            assert "is withdrawn" in crown_served(people.ledger, people.registry, MODEL, people.now)
        people.settle()
    assert (people.champion, crowned(people)) == (2, [1, 2, 2])
    assert people.settle() == []


def test_an_adoption_is_withdrawn_where_the_alias_was_moved_on(people):
    people.policy, people.handy = "adopt", True
    people.move(1)
    people.met = ("after record", HAND)
    (line,) = people.settle()
    assert "is withdrawn: alias champion of churn left version 1" in line
    assert (people.champion, crowned(people)) == (2, [1, 2])
    assert people.settle() == []


def test_putting_back_is_withdrawn_and_begun_anew_where_the_alias_was_moved_on(people):
    people.policy, people.handy = "restore", True
    people.bring_a_version_along()
    people.move(1)
    people.met = ("after record", HAND)
    (line,) = people.settle()
    assert "is withdrawn: version 2 of churn was to follow version 1, but the champion is version 3" in line
    people.settle()
    assert (people.champion, crowned(people)) == (2, [1, 2, 2])


@pytest.mark.parametrize("policy", ["adopt", "restore"])
@pytest.mark.parametrize("change", ["alias", "pin", "decision"])
def test_what_changes_during_the_smoke_test_is_looked_at_again(people, policy, change):
    to_a_held_version(people)
    (held,) = people.ledger.pending(MODEL)
    people.policy = policy
    changes = {
        "alias": lambda: people.move(1),
        "pin": lambda: Pins(people.home.store_url).pin(MODEL, "tom", "audit", people.now),
        "decision": lambda: answer.reject(held.id, "eva", "no", people.home, people.now),
    }
    people.meanwhile = changes[change]
    (line,) = people.settle()
    assert line.endswith("the next run looks again")
    assert crowned(people) == [1, 2]
    people.settle()
    assert crowned(people) == [1, 2, 1 if (policy, change) == ("adopt", "alias") else 2]


def test_a_move_between_measuring_and_deciding_makes_the_promotion_stale(people):
    people.start_run(mode="automatic", checks=[])
    people.move(1)
    with pytest.raises(StaleChampion):
        people.write(*people.runs.pop())
    assert people.ledger.entries(MODEL)[0].cause is Cause.RECONCILE
    people.policy = "restore"
    people.settle()
    assert (people.champion, crowned(people)) == (2, [1, 2, 2])


def test_a_promotion_under_way_is_no_strangers_hand(people):
    people.start_run(mode="automatic", checks=[])
    entry = people.record(*people.runs.pop())
    read, looks = people.registry.champion_version, []

    def read_meanwhile(model):
        looks.append(people.registry.taken)
        if len(looks) == 1:
            # Somebody else promotes between the reading of the history and that of the alias.
            promote.promote(entry, people.home, people.now)
            looks[1:] = []
        return read(model)

    people.registry.champion_version = read_meanwhile
    assert find_stranger(people.ledger, people.registry, MODEL) == ""
    assert looks == [False, True], "the second look is in the registry's turn"
    assert crowned(people) == [1, 2, 3]


def test_a_first_promotion_under_way_is_no_deleted_alias(nobody):
    nobody.start_run(mode="automatic", checks=[])
    entry = nobody.record(*nobody.runs.pop())
    read, looks = nobody.registry.champion, []

    def read_meanwhile(model):
        looks.append(nobody.registry.taken)
        found = read(model)
        if len(looks) == 1:
            promote.promote(entry, nobody.home, nobody.now)
        return found

    nobody.registry.champion = read_meanwhile
    champion, fence = read_champion(MODEL, nobody.ledger, nobody.registry)
    assert (champion.version, fence) == (1, nobody.ledger.fence(MODEL))
    assert looks == [False, True], "the second look is in the registry's turn"
