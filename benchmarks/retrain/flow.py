"""The flow, as `evergreen run` starts it.

python flow.py <place> <before|now> <stages.json>
"""

# ruff: noqa: E402 - the clock starts before the imports, which are part of what a run costs

import sys
from pathlib import Path

from stages import Recorder

started = Recorder(Path(sys.argv[3])) if __name__ == "__main__" else None

import logging

from marks import Marks
from workload import BEFORE, MODEL, NOW


def main(record: Recorder) -> None:
    from evergreen.cli.main import main as evergreen

    logging.getLogger("evergreen").addHandler(Marks(record))
    moment = {"before": BEFORE, "now": NOW}[sys.argv[2]]
    sys.argv = ["evergreen", "run", MODEL, "--as-of", moment.isoformat()]
    try:
        evergreen()
    except SystemExit as ended:
        record.mark("finish")
        record.write()
        # A run that ends without a new version would look fast.
        if ended.code or "register" not in record.stages:
            raise RuntimeError(f"no version was registered (exit code {ended.code})") from None


if started:
    main(started)
