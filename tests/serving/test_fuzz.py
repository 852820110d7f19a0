"""What the rules allow is answered, however it is written; what somebody made of it breaks nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.serving import fuzzed
from benchmarks.serving.client import Reply
from benchmarks.serving.fuzz import Fuzz
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from tests.serving.application import application, gather, served


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'evergreen.db'}"
    Ledger(url).prepare()
    return application(served(), labels=Traffic(url))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(fuzzed.valid, min_size=8, max_size=8), st.lists(fuzzed.spoiled, min_size=8, max_size=8))
def test_what_is_valid_is_answered_and_what_is_not_breaks_nothing(app, good, bad):
    sent = [*good, *bad]
    asked = [(one.method, one.path, {"content": one.body, "headers": list(one.headers)}) for one in sent]
    found = Fuzz(0, "", (fuzzed.SECRET * 2, "Traceback", "site-packages"))
    for one, reply in zip(sent, gather(app, asked), strict=True):
        found.judge(one, Reply(reply.status_code, {}, reply.content))
    assert (found.valid, found.seen.total()) == (8, 16)


@pytest.mark.parametrize(
    ("status", "said", "valid"),
    [
        (500, b"{}", False),
        (422, b"{}", True),
        (404, b"Traceback (most recent call last)", False),
        (400, b"a" * 30_000, False),
    ],
    ids=["broken", "refused", "leak", "long"],
)
def test_an_answer_that_should_not_be_is_noticed(status, said, valid):
    with pytest.raises(AssertionError):
        Fuzz(0, "", ("Traceback",)).judge(fuzzed.Sent("/predict", valid=valid), Reply(status, {}, said))
