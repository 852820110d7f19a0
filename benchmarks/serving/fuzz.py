"""At least 10,000 requests that nobody should send: bodies, paths, headers; no 5xx, no leak.

All of it in one process, against a small real model: `python benchmarks/serving/fuzz.py --requests 12000`.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hypothesis import HealthCheck, given, seed, settings

from tests.serving import test_app
from tests.serving.application import application, gather, served
from tests.serving.test_errors import Shelf

LEAKS = (test_app.SECRET * 2, "Traceback", "site-packages", str(Path(__file__).parents[2]))
TOGETHER = 25


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--requests", type=int, default=12_000)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    app, seen, began = application(served(), labels=Shelf()), Counter(), time.process_time()

    @seed(options.seed)
    @settings(
        max_examples=options.requests // TOGETHER, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(test_app.st.lists(test_app.requests, min_size=TOGETHER, max_size=TOGETHER))
    def ask(many):
        for reply in gather(app, many):
            seen[reply.status_code] += 1
            check(reply)

    ask()
    print(
        f"{sum(seen.values()):,} requests in {time.process_time() - began:.0f} s of CPU: {dict(sorted(seen.items()))}"
    )


def check(reply) -> None:
    assert reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code >= 400:
        assert not [leak for leak in LEAKS if leak in reply.text], reply.text
        assert len(reply.content) < 20_000


if __name__ == "__main__":
    main()
