"""compose.yaml without an engine: what its schema, its secrets, its ports and its confinement are."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from tests.deployments.shipped import COMPOSE, DEPLOYMENTS, REPOSITORY, example, filled, secrets, stages, variables

SERVICES = filled(secrets())["services"]
PUBLISHED = {"prefect", "mlflow", "serving"}
KEPT = {"postgres", "objects", "prefect", "worker", "serving"}
OURS = {name for name, service in SERVICES.items() if "build" in service}


def test_it_is_what_the_compose_specification_says():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_asked_for_that_neither_has_a_default_nor_stops_the_start():
    assert [v.name for v in variables() if v.operator not in (":?", ":-")] == []


@pytest.mark.parametrize("name", sorted(secrets()))
def test_nothing_starts_without_a_secret_and_the_message_says_what_it_is(name):
    with pytest.raises(KeyError, match=rf"{name}: .*\.env\.example"):
        filled({**secrets(), name: ""})


def test_the_example_sets_no_secret_and_lists_every_variable_with_its_default():
    set_, offered = example()
    required = {v.name for v in variables() if v.operator == ":?"}
    defaults = {v.name: v.fallback for v in variables() if v.fallback is not None}
    assert {name for name, value in set_.items() if not value} == required
    assert {**{name: value for name, value in set_.items() if value}, **offered} == defaults


def test_one_variable_has_one_meaning():
    asked = {}
    for variable in variables():
        asked.setdefault(variable.name, set()).add((variable.operator, variable.text))
    assert {name: texts for name, texts in asked.items() if len(texts) > 1} == {}


def test_no_secret_stands_in_an_address_or_on_a_command_line():
    for service in SERVICES.values():
        told = {name: value for name, value in service.get("environment", {}).items() if "s3cret" in str(value)}
        # Of its own, whole: an address with a password in it would show up in messages and logs.
        assert all(re.fullmatch(r"s3cret-[a-z0-9_]+", str(value)) for value in told.values()), told
        assert "s3cret" not in json.dumps([service.get("command"), service.get("healthcheck"), service.get("labels")])


def test_files_with_secrets_are_not_committed():
    named = [".env", *(entry["path"] for s in SERVICES.values() for entry in s.get("env_file", ()))]
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert {f"deployments/{name}" for name in named} <= set(ignored)
    assert not [path for name in named for path in [DEPLOYMENTS / name] if _is_tracked(path)]


def _is_tracked(path):
    command = ["git", "ls-files", "--error-unmatch", str(path)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0


def test_every_image_is_pinned_or_built_here():
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert re.match(r"\d+\.\d+", tag) or (name in OURS and tag == "local"), service["image"]
        assert name not in OURS or service["build"]["target"] in stages()


def test_only_pages_are_published_and_only_on_loopback():
    assert {name for name, service in SERVICES.items() if service.get("ports")} == PUBLISHED
    for name in PUBLISHED:
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in SERVICES[name]["ports"])


def test_the_worker_is_the_one_of_its_image_with_a_limit_that_a_team_sets():
    words = list(SERVICES["worker"]["command"])
    limit = words.index("--limit") + 1
    assert words == stages()["worker"].command, "and as many runs as the image allows, unless WORKER_RUNS says else"
    asked = filled(secrets() | {"WORKER_RUNS": "7"})["services"]["worker"]["command"]
    assert asked == [*words[:limit], "7", *words[limit + 1 :]]


def test_databases_and_objects_are_out_of_reach_from_outside():
    assert filled(secrets())["networks"]["state"] == {"internal": True}
    assert [SERVICES[name]["networks"] for name in ("postgres", "objects")] == [["state"], ["state"]]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_is_nobody_writes_nowhere_and_may_do_nothing(name):
    service = SERVICES[name]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert "/tmp" in service["tmpfs"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_container_of_ours_is_who_its_image_says(name):
    assert SERVICES[name]["user"] == stages()[SERVICES[name]["build"]["target"]].last("USER")


def test_what_starts_waits_until_what_it_needs_is_well():
    for name, service in SERVICES.items():
        for needed, wish in service.get("depends_on", {}).items():
            ends = wish["condition"] == "service_completed_successfully"
            # What ends is started once; what lasts tells how it is, in its own words or its image's.
            assert ends == (SERVICES[needed]["restart"] != "unless-stopped"), (name, needed)
            assert ends or _tells_how_it_is(needed), (name, needed)


def _tells_how_it_is(name):
    service = SERVICES[name]
    return "test" in service.get("healthcheck", {}) or stages()[service["build"]["target"]].last("HEALTHCHECK")


def test_what_has_state_has_a_volume_and_every_volume_is_somebodys():
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    named = {name for name in mounted if not name.startswith(".")}
    assert named == set(yaml.safe_load(COMPOSE.read_text())["volumes"]) == KEPT
    assert [name for name in mounted - named if not (DEPLOYMENTS / name).exists()] == []


def test_what_serves_asks_for_keys_and_knows_no_password_that_it_does_not_need():
    told = SERVICES["serving"]["environment"]
    assert {name for name, value in told.items() if "s3cret" in value} == {"PGPASSWORD", "EVERGREEN_SERVE_KEYS"}
    assert "PREFECT_API_URL" not in told
    # How it is, its image says: by /ready.
    assert "healthcheck" not in SERVICES["serving"]


def test_what_serves_has_time_to_finish():
    from evergreen.cli.serve import FLUSH_SECONDS, GRACE_SECONDS

    assert int(SERVICES["serving"]["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS + FLUSH_SECONDS


def test_the_server_and_its_clients_share_the_password():
    server = SERVICES["prefect"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    clients = {name: SERVICES[name]["environment"]["PREFECT_API_AUTH_STRING"] for name in ("deploy", "worker", "tend")}
    assert set(clients.values()) == {server}


def test_mlflow_answers_by_the_names_it_is_called_by():
    from mlflow.server.security_utils import is_allowed_host_header

    hosts = SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    called = SERVICES["worker"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert [is_allowed_host_header(hosts, host) for host in (called, "127.0.0.1:5000", "localhost:8080")] == [True] * 3
    assert not is_allowed_host_header(hosts, "rebound.example.com")
