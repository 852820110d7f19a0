"""Who is measured: how each is started, what it is sent, and what of its answer is the prediction."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.serving import workload

HERE = Path(__file__).parent
WORK = HERE.parent / ".work"
PEERS = HERE / "peers"
PORT = "{port}"
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class Contestant:
    """A server, or another form to ask the server of `shares` in. `command` names the port as {port}.

    `form` is how it takes rows, and `says` finds the predictions in its answer.
    """

    name: str
    said: str
    command: tuple[str, ...]
    health: str = "/health"
    path: str = "/predict"
    form: str = "rows"
    says: Callable[[bytes], Any] | None = lambda answer: json.loads(answer)["predictions"]
    environment: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    shares: str = ""
    only_batches: bool = False
    only_trees: bool = False


def contestants(home: Path, model: workload.Model) -> tuple[Contestant, ...]:
    """All of them, the one that ratios are of first."""
    here, peers = Path(sys.executable).parent, peers_folder() / "bin"
    uvicorn = [str(here / "python"), "-m", "uvicorn", "--log-level", "warning", "--no-access-log", "--port", PORT]
    mlflow = [str(here / "mlflow"), "models", "serve", "-m", str(model.folder), "--env-manager", "local"]
    gunicorn = [str(peers / "gunicorn"), "-w", "1", "-b", f"127.0.0.1:{PORT}"]
    named = {"BENCH_MODEL": str(model.pipeline)}
    bento = {**named, "BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    ours = [str(here / "python"), "-m", "evergreen.cli.main", "serve", workload.NAME, "--port", PORT]
    state = {"EVERGREEN_HOME": str(home), "EVERGREEN_CONFIGS": str(home / "configs")}
    empty = (*uvicorn, "--app-dir", str(PEERS), "empty:app")
    return (
        Contestant(
            "mlflow", "`mlflow models serve`", (*mlflow, "-p", PORT, "-w", "1"), path="/invocations", form="split"
        ),
        Contestant(
            "evergreen",
            "`evergreen serve`, capture on",
            tuple(ours),
            "/ready",
            form="own",
            says=_ours,
            environment=state,
        ),
        Contestant(
            "columns", "the same, `columns`", (), form="columns", says=_ours, shares="evergreen", only_batches=True
        ),
        Contestant(
            "invocations",
            "the same, MLflow's own request",
            (),
            path="/invocations",
            form="split",
            shares="evergreen",
            only_batches=True,
        ),
        Contestant(
            "arrow",
            "the same, Arrow both ways",
            (),
            form="arrow",
            says=_ours_in_arrow,
            kind=ARROW,
            shares="evergreen",
            only_batches=True,
        ),
        Contestant(
            "arrays",
            "the same, without numba",
            tuple(ours),
            "/ready",
            form="own",
            says=_ours,
            environment={**state, "PYTHONPATH": str(HERE / "without")},
            only_trees=True,
        ),
        Contestant(
            "fastapi", "naive FastAPI", (*uvicorn, "--app-dir", str(PEERS), "naive_fastapi:app"), environment=named
        ),
        Contestant(
            "flask", "naive Flask, gunicorn", (*gunicorn, "--chdir", str(PEERS), "naive_flask:app"), environment=named
        ),
        Contestant(
            "bentoml",
            "BentoML, batching",
            (str(peers / "bentoml"), "serve", "batching_bentoml:Model", "--working-dir", str(PEERS), "--port", PORT),
            "/healthz",
            says=json.loads,
            environment=bento,
        ),
        Contestant("raw", "limit: an empty endpoint, raw ASGI", empty, says=None),
        Contestant("empty", "limit: an empty endpoint of FastAPI", (), path="/fastapi", says=None, shares="raw"),
    )


NAMES = (
    "mlflow",
    "evergreen",
    "columns",
    "invocations",
    "arrow",
    "arrays",
    "fastapi",
    "flask",
    "bentoml",
    "raw",
    "empty",
    "loop",
)
LOOP = "limit: `pipeline.predict` in a loop, no server"


def peers_folder() -> Path:
    return WORK / "peers"


def make_peers() -> None:
    """An environment with what peers.txt names, made once; all else comes from the one that runs this."""
    folder, wanted = peers_folder(), (HERE / "peers.txt").read_text()
    note = folder / "installed.txt"
    if note.exists() and note.read_text() == wanted:
        return
    print(f"installing what is compared with into {folder}; once", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", "peers.txt"], check=True, cwd=HERE)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    ours = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    # After its own packages: the same scikit-learn asks the same model.
    (site / "model.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n")
    note.write_text(wanted)


def environment_of(contestant: Contestant) -> dict[str, str]:
    """That of this process, with one thread for numbers, as two that share cores wait for each other."""
    search = f"{Path(contestant.command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **threads, "PATH": search, **contestant.environment}


def body_of(form: str, rows: list[dict[str, Any]]) -> bytes:
    """A request of these rows."""
    if form == "own" and len(rows) == 1:
        return json.dumps(rows[0]).encode()
    if form == "columns":
        return json.dumps({"columns": {name: [row[name] for row in rows] for name in rows[0]}}).encode()
    if form == "arrow":
        return _in_arrow(rows)
    if form == "split":
        split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        return json.dumps({"dataframe_split": split}).encode()
    return json.dumps({"rows": rows}).encode()


def _in_arrow(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _ours(answer: bytes) -> list[Any]:
    said = json.loads(answer)
    return [one["prediction"] for one in said.get("predictions", [said])]


def _ours_in_arrow(answer: bytes) -> list[Any]:
    return pa.ipc.open_stream(answer).read_all()["prediction"].to_pylist()
