from datetime import UTC, datetime, timedelta

import pytest

from evergreen.store.pins import Pin, Pins

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@pytest.fixture
def pins(ledger) -> Pins:
    return Pins(ledger.url)


def test_a_model_is_pinned_until_it_is_unpinned(pins):
    assert pins.pinned("churn") is None
    pins.pin("churn", "anna", "holidays", NOW)
    assert pins.pinned("churn") == Pin("churn", True, "anna", "holidays", NOW)
    pins.unpin("churn", "ben", "back at work", NOW + timedelta(days=7))
    assert pins.pinned("churn") is None


def test_of_many_pins_the_newest_counts(pins):
    for why in ("holidays", "audit"):
        pins.pin("churn", "anna", why, NOW)
    assert pins.pinned("churn").why == "audit"


def test_models_are_pinned_apart(pins):
    pins.pin("churn", "anna", "holidays", NOW)
    assert pins.pinned("demand") is None


def test_who_pinned_and_unpinned_stays_known(pins):
    pins.pin("churn", "anna", "holidays", NOW)
    pins.unpin("churn", "ben", "back at work", NOW)
    assert [(pin.pinned, pin.by, pin.why) for pin in pins.history("churn")] == [
        (True, "anna", "holidays"),
        (False, "ben", "back at work"),
    ]
