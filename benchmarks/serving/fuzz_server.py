"""The server that fuzz.py sends to: the tests' model of parcels over a real store. `fuzz_server.py FOLDER PORT`."""

import logging
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from evergreen.serving.capture import Capture
from evergreen.serving.keys import Keys
from evergreen.serving.server import open_socket, run_server
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.serving.application import NOW, application, served


def main(folder: str, port: int) -> None:
    logging.basicConfig(level=logging.INFO)
    url = f"sqlite:///{Path(folder) / 'evergreen.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW)
    app = application(served(), labels=Traffic(url), capture=capture, keys=Keys.from_environment(os.environ))
    run_server(app, open_socket("127.0.0.1", port), 5)
    capture.close(10)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
