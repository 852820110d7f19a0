"""The work pool: made once, followed where its template changes, left as a person left it."""

import json
from pathlib import Path

import pytest

from evergreen.errors import UserError
from evergreen.orchestrator import pool as room
from evergreen.orchestrator.pool import PoolPlan, ensure_pool, read_template

TEMPLATE = Path(__file__).parents[2] / "deployments" / "kubernetes" / "base" / "base-job-template.json"


@pytest.fixture
def own_pool(monkeypatch, request):
    """Another pool than the one that the other tests' runs are taken from."""
    name = request.node.name.replace("_", "-")
    monkeypatch.setattr(room, "POOL", name)
    return name


@pytest.mark.slow
def test_a_new_template_reaches_a_pool_and_wakes_nothing(prefect_server, own_pool):
    api, template = prefect_server.api, read_template(TEMPLATE)
    (said,) = ensure_pool(api, PoolPlan("kubernetes", template))
    assert said.endswith("created, of type kubernetes")
    made = api.get(f"/work_pools/{own_pool}")
    assert (made["type"], made["base_job_template"]) == ("kubernetes", template)

    api.send("PATCH", f"/work_pools/{own_pool}", {"is_paused": True, "concurrency_limit": 3})
    newer = {**template, "job_configuration": {**template["job_configuration"], "namespace": "elsewhere"}}
    (said,) = ensure_pool(api, PoolPlan("kubernetes", newer))
    assert said.endswith("of type kubernetes, with its template, paused")
    left = api.get(f"/work_pools/{own_pool}")
    assert (left["is_paused"], left["concurrency_limit"]) == (True, 3)
    assert left["base_job_template"] == newer
    assert left["description"] == made["description"]

    (said,) = ensure_pool(api, PoolPlan())
    assert said.endswith("of type kubernetes, paused"), "without a template, any pool will do"
    with pytest.raises(UserError, match="is of type kubernetes, the template is for process"):
        list(ensure_pool(api, PoolPlan("process", template)))
    assert api.get(f"/work_pools/{own_pool}")["base_job_template"] == newer


@pytest.mark.slow
def test_a_pool_that_prefect_knows_no_template_for_is_not_made_without_one(prefect_server, own_pool):
    with pytest.raises(UserError, match=r"needs --job-template FILE; prefect work-pool .* --type docker prints one"):
        list(ensure_pool(prefect_server.api, PoolPlan("docker")))
    assert prefect_server.api.pool(own_pool) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "is not valid JSON"),
        ("[]", "is no base job template"),
        (json.dumps({"variables": {}}), "is no base job template"),
    ],
)
def test_a_file_that_holds_no_template_is_named(tmp_path, text, said):
    file = tmp_path / "template.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=rf"template\.json: {said}"):
        read_template(file)
