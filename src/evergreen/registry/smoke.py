"""Does the registered artifact answer in a process that knows nothing but the artifact?

The artifact is downloaded here and loaded there without MLflow, from bytes whose digest is checked: what serving does.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from evergreen.checks import Check, Outcome
from evergreen.registry.artifact import TOLERANCE, answer, difference, load_pipeline, read_requests, read_verified
from evergreen.registry.tracking import Tracking

NAME = "smoke_test"
"""The check's name."""

_BOUND = f"≤ {TOLERANCE:g}"


def smoke_test(tracking: Tracking, uri: str, digest: str, timeout_seconds: float = 120.0) -> Check:
    """Load a registered model in a fresh process and put the stored requests to it.

    FAIL where it does not load, does not answer in time or answers differently; `value` is the largest difference.
    Raises UnavailableError where MLflow does not answer: that says nothing about the model.
    """
    with tempfile.TemporaryDirectory(prefix="evergreen-smoke-") as scratch:
        folder = tracking.download(uri, Path(scratch))
        command = [sys.executable, "-m", "evergreen.registry.smoke", str(folder), digest]
        try:
            done = subprocess.run(
                command, env=_environment(), capture_output=True, text=True, check=False, timeout=timeout_seconds
            )
        except subprocess.TimeoutExpired:
            return _failed(f"{uri} gave no answer within {timeout_seconds:g} s")
    return _judge(uri, done)


def _environment() -> dict[str, str]:
    # What this process can import, transformers of the team among it, the fresh one must find too.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path}


def _judge(uri: str, done: "subprocess.CompletedProcess[str]") -> Check:
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return _failed(f"{uri} failed in a fresh process ({lines[-1] if lines else f'exit code {done.returncode}'})")
    result = json.loads(done.stdout.splitlines()[-1])
    apart = float(result["difference"])
    if apart > TOLERANCE:
        return _failed(f"{uri} answers differently than when it was trained", apart)
    return Check(NAME, Outcome.PASS, apart, _BOUND, f"{result['rows']} stored requests answered as in training")


def _failed(why: str, value: float | None = None) -> Check:
    return Check(NAME, Outcome.FAIL, value, _BOUND, why)


def _main(folder: str, digest: str) -> None:
    files = read_verified(Path(folder), digest)
    requests, expected = read_requests(files)
    apart = difference(expected, answer(load_pipeline(files), requests))
    print(json.dumps({"rows": len(requests), "difference": str(apart)}))


if __name__ == "__main__":
    # Two seconds of life, most of them imports: nothing in it is worth collecting, least of all at its end.
    gc.disable()
    _main(*sys.argv[1:])
    gc.freeze()
