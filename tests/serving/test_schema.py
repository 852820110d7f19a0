"""Requests made up from the OpenAPI document: whatever it allows is answered as it says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from tests.serving.application import application, served
from tests.serving.test_errors import Shelf

LOCAL = {"host": "localhost"}


@pytest.fixture(scope="module")
def documented():
    app = application(served(), labels=Shelf())
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=LOCAL)


schema = schemathesis.pytest.from_fixture("documented")


@schema.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_document_allows_is_answered_as_it_says(case):
    # What JSON Schema cannot say, such as that a text holds no character of code 0, is refused all the same; and a
    # category may come as a number.
    excluded = [checks.positive_data_acceptance, checks.negative_data_rejection]
    case.call_and_validate(headers=LOCAL, excluded_checks=excluded)
