"""Receivers of messages, and a fact that people are to be told."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from evergreen.store.facts import Fact, FactKind
from tests.receivers import Mailbox, Receiver, mail_receiver, web_receiver

AT = datetime(2026, 11, 16, 6, 3, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with web_receiver() as known:
        yield known


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_receiver() as known:
        yield known


@pytest.fixture
def held() -> Fact:
    payload = {
        "decision": 12,
        "version": 13,
        "champion_before": 12,
        "champion_after": 12,
        "answer": "waiting",
        "reasons": ["promotion needs a person"],
        "reason": "scheduled",
        "cause": "run",
        "by": "eva",
        "as_of": "2026-11-16T06:00:00+00:00",
        "until": "2026-11-23T06:03:00+00:00",
    }
    return Fact("decision:12", FactKind.HELD, "churn", AT, payload)
