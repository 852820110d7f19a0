"""A mistake is one clear message and exit code 2; a server that is down is one and exit code 1. Never a traceback."""

import socket

import pytest

COMMANDS = ("run", "check", "history")


def assert_told(answer, code, *parts):
    assert answer.code == code
    assert "Traceback" not in answer.text
    for part in parts:
        assert part in answer.text
    return answer


@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_that_has_no_spec_is_met_with_the_nearest_one(project, evergreen, command):
    answer = assert_told(evergreen(command, "tinny"), 2, "no spec for model 'tinny'", "did you mean tiny?")
    assert answer.err.startswith("evergreen: ")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: [tiny\n", "tiny.yaml:2: is not valid YAML"),
        ("", "is empty or no mapping"),
        ("modle: tiny\n", "modle"),
    ],
)
def test_a_spec_that_cannot_be_read_is_named_with_its_line(project, evergreen, command, text, said):
    project.spec_file.write_text(text)
    assert_told(evergreen(command, "tiny"), 2, said, str(project.spec_file))


def test_an_unknown_key_is_met_with_the_known_ones(project, evergreen):
    project.change(training__folds=5)
    assert_told(evergreen("check", "tiny"), 2, "training.folds", "cross_validation")


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_metric_or_parameter_that_nobody_knows_is_said_before_data_is_read(project, evergreen, command):
    project.table.unlink()
    project.change(training__metric="acuracy")
    assert_told(evergreen(command, "tiny"), 2, "training.metric", "acuracy", "accuracy")
    project.change(
        training__metric="accuracy", training__candidates=[{"kind": "logistic_regression", "params": {"D": 1}}]
    )
    assert_told(evergreen(command, "tiny"), 2, "training.candidates.0.params.D")


def test_data_that_are_not_there_are_named_as_in_the_spec(project, evergreen):
    project.table.unlink()
    assert_told(evergreen("check", "tiny", "--as-of", "2026-04-01"), 2, "table.csv: there is no such file")


def test_a_moment_before_all_data_says_what_there_is(project, evergreen):
    assert_told(
        evergreen("check", "tiny", "--as-of", "2020-01-01"), 2, "reach from 2026-01-01", "choose another --as-of"
    )


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_moment_that_has_not_come_is_refused_before_its_labels_count_as_known(project, evergreen, command):
    assert_told(evergreen(command, "tiny", "--as-of", "2999-03-04"), 2, "--as-of: 2999-03-04 00:00 UTC has not come")
    assert not (project.settings.home / "prefect").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "tiny", "--as-of", "someday"], "'someday' is no date"),
        (["check", "tiny", "--as-of", "2026-13-01"], "is no date"),
        (["run", "tiny", "--resaon", "manual"], "--reason"),
        (["run", "tiny", "--reason", "boredom"], "boredom"),
        (["history", "tiny", "--limit", "0"], "--limit"),
        (["run"], "Missing argument"),
        (["retrain", "tiny"], "retrain"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_pointed_at(project, evergreen, arguments, said):
    assert_told(evergreen(*arguments), 2, said)


def test_init_refuses_what_it_cannot_describe(project, evergreen):
    data = ["--data", project.table]
    assert_told(evergreen("init", "tiny", *data, "--target", "leaves"), 2, "is there already")
    assert_told(evergreen("init", "new", *data, "--target", "leavs"), 2, "leavs", "leaves")
    assert_told(evergreen("init", "new", "--data", "no.csv", "--target", "leaves"), 2, "no.csv")
    assert_told(evergreen("init", "../new", *data, "--target", "leaves"), 2, "is no name for a model")
    assert sorted(path.name for path in project.settings.configs.iterdir()) == ["tiny.yaml"]


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_store_that_nobody_knows_how_to_open_is_a_mistake(project, evergreen, monkeypatch, command):
    monkeypatch.setenv("EVERGREEN_STORE_URL", "mysql://eva:s3cret@db/evergreen")
    answer = evergreen(command, *(["tiny"] if command == "history" else []))
    assert_told(answer, 2, "mysql")
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_store_that_is_down_is_said_without_its_password(project, evergreen, monkeypatch, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"postgresql://eva:s3cret@127.0.0.1:{taken.getsockname()[1]}/evergreen"
        monkeypatch.setenv("EVERGREEN_STORE_URL", url)
        answer = evergreen(command, *(["tiny"] if command == "history" else []))
    assert_told(answer, 1, "eva:***@127.0.0.1", "does not answer")
    assert "s3cret" not in answer.text
