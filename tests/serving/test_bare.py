"""What serves is installed from a lock of its own, and loads neither Prefect, nor Evidently, nor MLflow."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.servers import free_port
from tests.serving.bare import Bare

REPOSITORY = Path(__file__).parents[2]


def pins(name):
    return set(re.findall(r"(?m)^([\w.-]+==\S+)", (REPOSITORY / "requirements" / f"{name}.txt").read_text()))


def start(what, model):
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), what, model, str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_champion_is_fetched_and_answers_with_nothing_installed_but_the_lock_of_serving(crowned):
    fetched = start("fetch", crowned.model)
    assert fetched.get("code") in (0, None)
    assert not {"prefect", "evidently"} & set(fetched["loaded"])

    served = start("serve", crowned.model)
    assert {name: served[name] for name in ("ready", "docs", "openapi.json", "metrics", "version")} == {
        "ready": 200,
        "docs": 200,
        "openapi.json": 200,
        "metrics": 200,
        "version": 1,
    }
    assert not {"prefect", "evidently", "mlflow", "pandera", "duckdb", "matplotlib"} & set(served["loaded"])
    assert {"sklearn", "uvloop"} <= set(served["loaded"]), "it has really served"


def test_what_the_lock_leaves_out_is_not_found_by_who_serves():
    absent = Bare().absent
    assert {"prefect", "evidently", "pandera", "apprise", "pytest"} <= absent
    assert not {"mlflow", "sklearn", "evergreen", "google"} & absent


def test_the_lock_of_serving_is_a_part_of_what_runs():
    assert pins("serve") < pins("run")
    names = {pin.partition("==")[0] for pin in pins("serve")}
    assert {"mlflow", "scikit-learn", "uvicorn", "psycopg", "s3fs"} <= names
    assert not {"prefect", "evidently", "pandera", "apprise"} & names
