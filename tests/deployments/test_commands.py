"""Command lines of images, compose, manifests and workflows: every program, subcommand and option exists."""

import importlib
import importlib.util
import re
import shlex

import pytest
import typer

from tests.deployments.shipped import REPOSITORY, WORKFLOWS, commands

COMMANDS = commands()


def require_known(words):
    """Raise unless a program that we install takes these words; nothing is run."""
    program, *rest = words
    if program == "evergreen":
        from evergreen.cli.main import app

        _parse(typer.main.get_command(app), rest)
    elif program == "mlflow":
        from mlflow.cli import cli

        _parse(cli, rest)
    elif program == "prefect":
        from prefect.cli import _app

        importlib.import_module("prefect.cli")
        _app._app.parse_args(rest, exit_on_error=False, print_error=False)
    else:
        assert words[:2] == ["python", "-m"], words
        assert importlib.util.find_spec(words[2]), words


def _parse(command, words):
    context = command.make_context("program", list(words), resilient_parsing=False)
    # Typer brings a Click of its own: a group is what can find a command in itself.
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, list(words), parent=context)


@pytest.mark.parametrize("where", sorted(COMMANDS))
def test_a_command_is_one_with_its_options(where):
    require_known(COMMANDS[where])


@pytest.mark.parametrize(
    "words", ["evergreen deplpy", "evergreen tend --evry 3", "mlflow server --prt 1", "prefect worker start --pol x"]
)
def test_a_slip_of_the_pen_would_be_noticed(words):
    with pytest.raises((Exception, SystemExit)):
        require_known(words.split())


def scripts():
    """What workflows run, one line each: the lines that call this project's programs or make."""
    for path in WORKFLOWS:
        text = path.read_text().replace("\\\n", " ")
        for found in re.finditer(r"(?:^|\s|\()(?:\.venv/bin/(evergreen [^)\n]*)|(make [^\n]*))", text):
            yield (found[1] or found[2]).strip()


def test_workflows_call_evergreen_and_make_as_they_are():
    called = list(scripts())
    assert len(called) >= 4
    makefile = (REPOSITORY / "Makefile").read_text()
    stamp = re.search(r"(?m)^STAMP\s*:= (.*)$", makefile)[1].replace("$(VENV)", ".venv")
    for line in called:
        # What a shell puts in is a word, or an option with its word.
        plain = re.sub(r"\$\{\w+:\+(--[\w-]+) [^}]*\}", r"\1 WORD", line).replace("$MODE", "--dry-run")
        plain = re.sub(r"--since WORD", "--since HEAD", plain).replace("WORD", "reject").replace('"$REASON"', "manual")
        words = shlex.split(re.sub(r'"?\$\{?\w+\}?"?', "word", plain).replace('"', "") if "$" in plain else plain)
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert all(re.search(rf"(?m)^{re.escape(t)}:", makefile) or t == stamp for t in targets), line
        else:
            require_known(words)
