"""Take the pictures of the guides anew: runs of `flights` under a real `evergreen up`, seen through Chromium.

Takes some minutes, and needs Chromium and an otherwise unused home: `python docs/screenshots.py [HOME]`. A home that
has its runs already is looked at as it is; without one, a temporary folder is used and removed.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import example_windows
from browser import Page, browser

from evergreen.orchestrator.api import FlowRun, PrefectApi
from evergreen.orchestrator.names import automation, retrain_deployment
from evergreen.report.windows import render_windows
from evergreen.settings import Settings
from evergreen.store.ledger import Ledger
from evergreen.supervisor.state import UpState, read_state

IMAGES = Path(__file__).parent / "images"
MODEL = "flights"
# The table of flights ends in 2013, so that its schedule rests; this one's does not.
SCHEDULED = "churn"
# There is no champion in March; in June the challenger has to hold its own.
MOMENTS = ("2013-03-04T00:00:00Z", "2013-06-03T00:00:00Z")
_EVERGREEN = (sys.executable, "-m", "evergreen.cli.main")
_PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Scene:
    """What runs, and the run that the pictures are of, with its artifacts by the end of their keys."""

    up: UpState
    api: PrefectApi
    run: FlowRun
    artifacts: dict[str, str]
    version: int
    report: Path


def main() -> None:
    """Write one PNG a page into docs/images."""
    with home() as folder, running(folder) as (settings, up):
        api = PrefectApi(up.prefect)
        finished(api, SCHEDULED)
        runs = [finished(api, MODEL, moment) for moment in MOMENTS]
        scene = set_scene(settings, up, api, runs[-1])
        with browser() as page:
            for name, (take, size) in PICTURES.items():
                take(page, scene, size)
                page.settle()
                page.shoot(IMAGES / f"{name}.png")
                print(f"docs/images/{name}.png")


@contextmanager
def home() -> Iterator[Path]:
    """The home of the command line, or one for this once."""
    if len(sys.argv) > 1:
        yield Path(sys.argv[1]).absolute()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "home"


@contextmanager
def running(folder: Path) -> Iterator[tuple[Settings, UpState]]:
    """What `evergreen up` runs for a home; stopped again where it was started here."""
    settings = Settings.from_environment({"EVERGREEN_HOME": str(folder)})
    environment = {**os.environ, "EVERGREEN_HOME": str(folder)}
    started = read_state(folder) is None
    if started:
        ports = ["--prefect-port", "0", "--mlflow-port", "0", "--no-serve", "--workers", "1"]
        subprocess.run([*_EVERGREEN, "up", "--detach", *ports], env=environment, check=True)
    try:
        state = read_state(folder)
        assert state is not None, "evergreen up --detach returns when it is up"
        yield settings, state
    finally:
        if started:
            subprocess.run([*_EVERGREEN, "down"], env=environment, check=True)


def finished(api: PrefectApi, model: str, as_of: str | None = None) -> FlowRun:
    """A run as of a moment, made by a worker; the same one however often this is asked."""
    deployment = api.deployment(retrain_deployment(model))
    assert deployment is not None, "evergreen up deploys every spec"
    run = api.create_run(deployment.id, {"model": model, "as_of": as_of}, f"picture:{as_of}")
    while run.state_type not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        time.sleep(_PAUSE_SECONDS)
        known = api.flow_run(run.id)
        assert known is not None, "a run that was created is known"
        run = known
    if run.state_type != "COMPLETED":
        sys.exit(f"{run.name}: {run.state_name}: {run.message}")
    return run


def set_scene(settings: Settings, up: UpState, api: PrefectApi, run: FlowRun) -> Scene:
    """Where everything about a run is to be seen."""
    entry = next(e for e in Ledger(settings.store_url).entries(MODEL) if e.flow_run == run.id)
    assert entry.version is not None, "the run in June is promoted"
    report = next((settings.reports / MODEL).glob(f"*-{str(entry.mlflow_run)[:8]}")) / "report.html"
    found = api.post("/artifacts/filter", artifacts={"flow_run_id": {"any_": [run.id]}})
    artifacts = {artifact["key"].removeprefix(f"{MODEL}-"): artifact["id"] for artifact in found if artifact["key"]}
    return Scene(up, api, run, artifacts, entry.version, report)


def take_deployment(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """What a deployment did, and what it will do."""
    deployment = scene.api.deployment(retrain_deployment(SCHEDULED))
    assert deployment is not None, "every spec is deployed"
    page.open(f"{scene.up.prefect_ui}/deployments/deployment/{deployment.id}", size)
    page.wait_for_text("Next Run", "PROMOTE version 1", "Schedules", "Triggers")


def take_form(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """How a run is started by hand, with the models to choose from."""
    deployment = scene.api.deployment(retrain_deployment(MODEL))
    assert deployment is not None, "every spec is deployed"
    page.open(f"{scene.up.prefect_ui}/deployments/deployment/{deployment.id}/run", size)
    page.wait_for_text("Parameters", "dry_run", "force")
    page.settle()
    page.evaluate("document.querySelector('.p-select-button').click()")
    page.wait_for("document.querySelectorAll('[class*=select-option]').length > 3", "the models")


def take_run(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """A run's stages over time, and what they said."""
    page.open(f"{scene.up.prefect_ui}/runs/flow-run/{scene.run.id}", size)
    page.wait_for_text("Task Runs", "champion is version")


def take_artifacts(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """What a run leaves to be read."""
    page.open(f"{scene.up.prefect_ui}/runs/flow-run/{scene.run.id}", size)
    page.wait_for_text("Task Runs")
    page.settle()
    page.click("Artifacts")
    page.wait_for_text(*(f"{MODEL}-{name}" for name in ("decision", "gate", "drift", "validation")))


def take_gate(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """Every check of a run."""
    take_artifact(page, scene, "gate", size)


def take_drift(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """What drifted."""
    take_artifact(page, scene, "drift", size)


def take_artifact(page: Page, scene: Scene, name: str, size: tuple[int, int]) -> None:
    """One artifact of the run on its page."""
    page.open(f"{scene.up.prefect_ui}/artifacts/artifact/{scene.artifacts[name]}", size)
    page.wait_for("document.querySelectorAll('table tr').length > 3", f"the table of {name}")


def take_automation(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """What a drift alert starts."""
    (drift,) = [one for one in scene.api.automations() if one.name == automation("drift", MODEL)]
    page.open(f"{scene.up.prefect_ui}/automations/automation/{drift.id}", size)
    page.wait_for_text(drift.name, "Trigger", "Action")
    page.settle()
    page.click("Show parameters")


def take_model(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """A version with its model card."""
    page.open(f"{scene.up.mlflow_ui}/#/models/{MODEL}/versions/{scene.version}", size)
    page.wait_for_text("Registered At", "On the holdout")
    page.settle()
    # MLflow's assistant takes a quarter of the page.
    page.press("[...document.querySelectorAll('button[aria-label=Close]')].at(-1)", "the assistant's button")


def take_report(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """The report that a run writes for people."""
    page.open(scene.report.as_uri(), size)


def take_serving(page: Page, scene: Scene, size: tuple[int, int]) -> None:
    """What a server takes and answers, with an example that was sent."""
    environment = {**os.environ, "EVERGREEN_HOME": str(scene.report.parents[3])}
    command = [*_EVERGREEN, "serve", MODEL, "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None, "it was asked for"
        page.open(f"{server.stdout.readline().split()[2].rstrip(',')}/docs", size)
        page.wait_for_text("/predict", "Fields")
        page.click("Send")
        page.wait_for_text("Answer: 200")
        server.terminate()


def take_monitoring(page: Page, _scene: Scene, size: tuple[int, int]) -> None:
    """What monitoring saw over eight weeks, which are made up: nobody waits for them to pass."""
    with tempfile.TemporaryDirectory() as folder:
        windows, history = example_windows.windows(), example_windows.history()
        path = render_windows(windows, history, Path(folder) / "monitoring.html", example_windows.WORDS)
        page.open(path.as_uri(), size)
        page.wait_for_text("Over time")


PICTURES = {
    "deployment": (take_deployment, (1400, 980)),
    "form": (take_form, (1400, 1060)),
    "prefect": (take_run, (1400, 1350)),
    "artifacts": (take_artifacts, (1400, 1250)),
    "gate": (take_gate, (1750, 1100)),
    "drift": (take_drift, (1850, 1200)),
    "automation": (take_automation, (1400, 800)),
    "mlflow": (take_model, (1400, 1000)),
    "report": (take_report, (1100, 1500)),
    "serving": (take_serving, (1280, 1200)),
    "monitoring": (take_monitoring, (1100, 1390)),
}


if __name__ == "__main__":
    main()
