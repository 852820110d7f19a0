"""docs/production.md against the files: every variable is explained, and nothing is explained that is not there."""

import re

from tests.deployments.shipped import (
    BASE,
    REPOSITORY,
    WORKFLOWS,
    containers,
    example,
    filled,
    secrets,
    stages,
    variables,
)

GUIDE = (REPOSITORY / "docs" / "production.md").read_text()
# What programs of others read, and only makes them quiet or quick.
MANNERS = {"PATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MLFLOW_DISABLE_TELEMETRY", "PREFECT_SERVER_ANALYTICS_ENABLED"}
MANNERS |= {"DO_NOT_TRACK", "PREFECT_HOME", "PREFECT_LOGGING_EXTRA_LOGGERS", "MPLCONFIGDIR"}


def rows(title):
    """First cells of the tables below a heading or a line, as names."""
    part = GUIDE[GUIDE.index(title) :]
    found = []
    for line in part.splitlines()[1:]:
        if line.startswith("|"):
            found += re.findall(r"`(\w+)`", line.split("|")[1])
        elif found:
            break
    return found


def told():
    """Every variable that a process of ours gets."""
    services = filled(secrets())["services"]
    names = {name for service in services.values() if "build" in service for name in service.get("environment", {})}
    names |= {name for stage in stages().values() for name in stage.env}
    names |= {variable["name"] for _, c, _ in containers() for variable in c.get("env") or ()}
    names |= {line.split("=")[0] for file in BASE.glob("*.env") for line in file.read_text().splitlines()}
    return {name for name in names if not name.startswith(("PYTHON", "PIP_"))} - MANNERS


def test_every_variable_of_the_env_file_is_in_the_table_and_no_other():
    set_, offered = example()
    assert sorted(rows("Set in `deployments/.env`")) == sorted({*set_, *offered})
    assert {v.name for v in variables()} == {*set_, *offered}


def test_every_default_in_the_table_is_the_one_of_compose():
    for variable in variables():
        row = next(line for line in GUIDE.splitlines() if re.match(rf"\| .*`{variable.name}`.*\|", line))
        if variable.fallback is None:
            assert "none, required" in row
        else:
            assert f"`{variable.fallback}`" in row or (not variable.fallback and "empty" in row), row


def test_every_variable_of_a_process_is_explained():
    assert told() - set(rows("Read by the processes")) == set()


def test_nothing_is_explained_that_no_process_gets():
    assert set(rows("Read by the processes")) - told() == set()


def test_what_the_repository_can_be_told_is_what_the_workflows_ask_for():
    text = "".join(path.read_text() for path in WORKFLOWS)
    assert set(rows("Without further ado")) == set(re.findall(r"(?:vars|secrets)\.(\w+)", text))


def test_every_service_has_its_line():
    named = re.findall(r"(?m)^\| `(\w+)` \|", GUIDE[GUIDE.index("## One host") : GUIDE.index("### Why")])
    assert named == list(filled(secrets())["services"])
