"""The flow's own log lines as the ends of its stages: nothing is wrapped, and Prefect's time stays where it falls."""

import logging

from stages import Recorder

# The first word of a line to the name under which its stage is compared.
STAGE_OF = {
    "open": "start",
    "load": "load",
    "validate": "validate",
    "drift": "drift",
    "split": "features",
    "features": "features",
    "trial": "trials",
    "train": "train",
    "log": "log",
    "evaluate": "evaluate",
    "gate": "evaluate",
    "register": "register",
    "smoke": "register",
    "promote": "register",
    "report": "finish",
}


class Marks(logging.Handler):
    """Marks a stage in a recorder when it logs that it is done."""

    def __init__(self, record: Recorder) -> None:
        super().__init__()
        self._record = record

    def emit(self, message: logging.LogRecord) -> None:
        stage = STAGE_OF.get(message.getMessage().split()[0])
        if stage is not None:
            self._record.mark(stage)
