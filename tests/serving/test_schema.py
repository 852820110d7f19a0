"""Requests made up from the OpenAPI document: whatever it allows is answered as it says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks

from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from tests.serving.application import application, served

LOCAL = {"host": "localhost"}


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    return document_over(tmp_path_factory.mktemp("documented"))


def document_over(folder):
    """The document of an application over a real store in this folder."""
    url = f"sqlite:///{folder / 'evergreen.db'}"
    Ledger(url).prepare()
    app = application(served(), labels=Traffic(url))
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=LOCAL)


def test_what_the_document_allows_is_answered_as_it_says(documented):
    operations = [found.ok() for found in documented.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/predict", "/invocations", "/feedback", "/ready"}
    for operation in operations:
        ask_as_documented(operation)


def ask_as_documented(operation, examples=5):
    """Ask an operation whatever its document allows, and hold the answers against it; their statuses."""
    # What JSON Schema cannot say, such as that a text holds no character of code 0, is refused all the same; and a
    # category may come as a number.
    excluded, statuses = [checks.positive_data_acceptance, checks.negative_data_rejection], []

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case):
        statuses.append(case.call_and_validate(headers=LOCAL, excluded_checks=excluded).status_code)

    ask()
    return statuses
