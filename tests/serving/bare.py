"""A process in which only what requirements/serve.txt names is installed: `bare.py fetch|serve MODEL PORT`.

It prints which of all modules it loaded, after it has fetched a champion, or served one and been asked.
"""

import json
import os
import re
import runpy
import signal
import sys
import threading
import time
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

LOCK = Path(__file__).parents[2] / "requirements" / "serve.txt"
ROW = {"waited": 0.5, "spent": -0.5, "plan": "basic"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Bare:
    """Finds nothing of what is installed here and would not be there."""

    def __init__(self) -> None:
        locked = {plain(name) for name in re.findall(r"(?m)^([\w.-]+)==", LOCK.read_text())} | {"evergreen"}
        known = packages_distributions()
        self.absent = {top for top, owners in known.items() if not locked & set(map(plain, owners))}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def ask(port: str, said: dict[str, object]) -> None:
    root = f"http://127.0.0.1:{port}"
    while True:
        try:
            with urlopen(f"{root}/ready") as answer:
                said["ready"] = answer.status
            break
        except (HTTPError, URLError):
            time.sleep(0.1)
    for path in ("docs", "openapi.json", "metrics"):
        with urlopen(f"{root}/{path}") as answer:
            said[path] = answer.status
    body, kind = json.dumps(ROW).encode(), {"content-type": "application/json"}
    with urlopen(Request(f"{root}/predict", body, kind)) as answer:
        said["version"] = json.load(answer)["version"]
    os.kill(os.getpid(), signal.SIGTERM)


def main(what: str, model: str, port: str) -> None:
    sys.meta_path.insert(0, Bare())  # type: ignore[arg-type]
    said: dict[str, object] = {}
    if what == "fetch":
        sys.argv = ["fetch", model]
        module = "evergreen.serving.fetch"
    else:
        threading.Thread(target=ask, args=(port, said), daemon=True).start()
        sys.argv = ["evergreen", "serve", model, "--port", port]
        module = "evergreen.cli.main"
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as ended:
        said["code"] = ended.code
    said["loaded"] = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
