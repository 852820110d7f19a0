"""Manifests without a cluster: Kubernetes' own schemas, who runs as whom, and that every name that is used exists."""

import json
import re
import shutil
import subprocess
import tomllib

import kubernetes_validate
import pytest
import yaml

from tests.deployments.shipped import (
    BASE,
    OVERLAY,
    REPOSITORY,
    containers,
    job_manifest,
    job_template,
    manifests,
    pods,
    stages,
)
from tests.missing import do_without

OBJECTS = [*manifests(BASE), *manifests(OVERLAY)]
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
OLDEST = "1.32"
SECRETS = {"evergreen-run", "evergreen-databases", "evergreen-models", "evergreen-serving"}


@pytest.mark.parametrize("release", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize(
    ("file", "manifest"), OBJECTS, ids=[f"{d['kind']}-{d['metadata']['name']}" for _, d in OBJECTS]
)
def test_a_manifest_is_what_the_cluster_says_it_is(file, manifest, release):
    kubernetes_validate.validate(manifest, release, strict=True)


def test_the_job_of_a_run_is_one():
    # Not strictly: Prefect wants two fields in the pod that are a job's.
    kubernetes_validate.validate(job_manifest(), OLDEST, strict=False)


def test_every_file_of_the_folders_is_used():
    for folder in (BASE, OVERLAY):
        text = (folder / "kustomization.yaml").read_text()
        assert [
            p.name for p in folder.iterdir() if p.name not in (*re.findall(r"[\w.-]+", text), "kustomization.yaml")
        ] == []


@pytest.mark.parametrize(("name", "container", "pod"), list(containers()), ids=[name for name, *_ in containers()])
def test_a_container_is_nobody_writes_nowhere_and_may_do_nothing(name, container, pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == stages()["worker"].last(
        "USER"
    )
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    assert {"/tmp", "/var/lib/evergreen"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_only_the_worker_may_ask_the_cluster_for_anything(name, pod):
    assert pod["automountServiceAccountToken"] is (name == "worker")
    # A service named prefect would else set PREFECT_PORT and the like, which are read as settings.
    assert pod["enableServiceLinks"] is False


def test_the_worker_may_make_and_watch_jobs_in_its_namespace_and_nothing_else():
    (role,) = [d for _, d in OBJECTS if d["kind"] == "Role"]
    rights = {(r, v) for rule in role["rules"] for r in rule["resources"] for v in rule["verbs"]}
    changing = {(r, v) for r, v in rights if v not in ("get", "list", "watch")}
    assert changing == {("jobs", "create"), ("jobs", "patch"), ("jobs", "delete")}
    assert not any(resource == "secrets" for resource, _ in rights)
    assert not [d for _, d in OBJECTS if d["kind"].startswith("ClusterRole")]


def test_secrets_are_named_and_not_contained():
    assert [d["metadata"]["name"] for _, d in OBJECTS if d["kind"] == "Secret"] == []
    named = set()
    for _, container, _ in containers():
        for variable in container.get("env", ()) if isinstance(container.get("env"), list) else ():
            assert "value" not in variable or not re.search("PASSWORD|SECRET_ACCESS|AUTH_STRING$", variable["name"])
            if secret := variable.get("valueFrom", {}).get("secretKeyRef"):
                named.add(secret["name"])
        named |= {source["secretRef"]["name"] for source in container.get("envFrom", ()) if "secretRef" in source}
    mounted = {volume["secret"]["secretName"] for _, pod in pods() for volume in pod["volumes"] if "secret" in volume}
    assert mounted == {"evergreen-serving"}, "read again when it changes, as no variable is"
    assert named | mounted == SECRETS


def test_every_config_map_that_is_named_is_made():
    made = {g["name"] for g in yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]}
    used = set(
        re.findall(r"configMap(?:Ref|KeyRef)?\W+name\W+([\w-]+)", json.dumps([[c, p] for _, c, p in containers()]))
    )
    assert used == made


def test_every_image_has_the_version_of_the_project():
    used = {container["image"] for _, container, _ in containers()}
    names = {image.partition(":")[0] for image in used}
    assert used == {f"{name}:{VERSION}" for name in names}
    assert names == {f"evergreen-{stage}" for stage in ("prefect", "mlflow", "serving", "worker", "kubernetes-worker")}


def test_the_example_moves_every_image_and_the_job_template_with_them():
    images = {
        i["name"]: f"{i['newName']}:{i['newTag']}"
        for i in yaml.safe_load((OVERLAY / "kustomization.yaml").read_text())["images"]
    }
    assert set(images) == {container["image"].partition(":")[0] for _, container, _ in containers()}
    ours, theirs = job_template(), job_template(OVERLAY)
    image = theirs["variables"]["properties"]["image"].pop("default")
    assert ours["variables"]["properties"]["image"].pop("default") == f"evergreen-worker:{VERSION}"
    assert image == images["evergreen-worker"]
    assert ours == theirs


def test_a_run_may_be_asked_for_only_what_the_template_knows():
    text, known = json.dumps(job_template()["job_configuration"]), job_template()["variables"]["properties"]
    assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == set(known)


def test_deploying_hands_over_the_template_and_leaves_the_pool_as_it_was_left():
    (job,) = [d for _, d in OBJECTS if d["kind"] == "Job" and d["metadata"]["name"] == "deploy"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words = container["args"]
    file = words[words.index("--job-template") + 1]
    (mount,) = [one for one in container["volumeMounts"] if file.startswith(one["mountPath"])]
    maps = {
        g["name"]: g["files"]
        for g in yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]
        if "files" in g
    }
    assert mount["name"] == "work-pool"
    assert file.rpartition("/")[2] in maps["evergreen-work-pool"]
    # Prefect's own command would resume a pool that is paused, and forget its limit.
    assert "--overwrite" not in {word for _, one, _ in containers() for word in one.get("args", ())}


def test_what_serves_is_sent_requests_while_it_is_ready_and_killed_only_when_it_is_dead():
    from evergreen.cli.serve import FLUSH_SECONDS, GRACE_SECONDS

    (found,) = [(container, pod) for name, container, pod in containers() if name == "serving/serving"]
    container, pod = found
    asked = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert asked == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + GRACE_SECONDS + FLUSH_SECONDS
    words = container["args"]
    folder = words[words.index("--keys") + 1].rpartition("/")[0]
    assert folder in [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "keys"]
    (service,) = [d for _, d in OBJECTS if d["kind"] == "Service" and d["metadata"]["name"] == "serving"]
    assert str(service["spec"]["ports"][0]["port"]) == words[words.index("--port") + 1]


def test_selectors_find_what_they_are_for():
    labels = [d["spec"]["template"]["metadata"]["labels"] for _, d in OBJECTS if d["kind"] in ("Deployment", "Job")]
    for _, document in OBJECTS:
        selector = document["spec"].get("selector") if document["kind"] in ("Service", "PodDisruptionBudget") else None
        wanted = (selector or {}).get("matchLabels", selector)
        assert wanted is None or [one for one in labels if wanted.items() <= one.items()], document["metadata"]["name"]


@pytest.mark.parametrize("folder", [BASE, OVERLAY], ids=["base", "example"])
def test_kustomize_renders_what_the_cluster_takes(folder):
    if shutil.which("kubectl") is None:
        # GitHub's machines have it.
        do_without("kubectl, which holds Kustomize, is not installed here", promised_by="GITHUB_ACTIONS")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    assert len(rendered) >= 20
    for document in rendered:
        kubernetes_validate.validate(document, OLDEST, strict=True)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "evergreen"
