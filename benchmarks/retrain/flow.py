"""The flow, as `evergreen run` starts it.

python flow.py <place> <before|now> <stages.json>
"""

# ruff: noqa: E402 - the clock starts before the imports, which are part of what a run costs

import sys
from pathlib import Path

from stages import Recorder

record = Recorder(Path(sys.argv[3]))

import logging
from datetime import UTC

from marks import Marks
from workload import BEFORE, MODEL, NOW


def main() -> None:
    from evergreen.cli.retrain import retrain
    from evergreen.gate.decision import Reason

    logging.getLogger("evergreen").addHandler(Marks(record))
    moment = {"before": BEFORE, "now": NOW}[sys.argv[2]].replace(tzinfo=UTC)
    (conclusion,) = retrain(MODEL, [moment], Reason.MANUAL, dry_run=False, force=False)
    record.mark("finish")
    record.write()
    # A run that stops early would look fast.
    assert conclusion.evidence.registered is not None, conclusion.report.decision


if __name__ == "__main__":
    main()
