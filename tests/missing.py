"""Programs that a test needs and a machine may not have."""

import os
from typing import NoReturn

import pytest


def do_without(what: str, promised_by: str = "CI") -> NoReturn:
    """Skip the test, which says `what` is missing; fail it where the environment sets `promised_by`.

    Nobody reads which tests were skipped in continuous integration: there a test that cannot run is a broken one.
    """
    if os.environ.get(promised_by):
        pytest.fail(f"{what}, and {promised_by} is set: this must not be passed over", pytrace=False)
    pytest.skip(what)
