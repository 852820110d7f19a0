import os

import pytest

from evergreen.checks import Check, Outcome
from evergreen.cli.console import open_console
from evergreen.cli.inspect import print_checks
from evergreen.cli.launch import environment
from evergreen.errors import UserError
from evergreen.settings import Settings


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_cannot_be_created_is_a_mistake_of_the_user_and_changes_nothing(tmp_path, home):
    (tmp_path / "file").write_text("")
    before = dict(os.environ)
    settings = Settings.from_environment({"EVERGREEN_HOME": str(tmp_path / home)})
    with pytest.raises(UserError, match=r"EVERGREEN_HOME: .*file.* cannot be created"), environment(settings):
        pass
    assert dict(os.environ) == before


def test_a_bound_with_brackets_is_shown_as_it_is(capsys):
    print_checks(open_console(), (Check("plan", Outcome.FAIL, None, "one of [basic, plus]", "it is [/odd]"),))
    shown = capsys.readouterr().out
    assert "one of [basic, plus]" in shown
    assert "it is [/odd]" in shown
