"""Requests that Schemathesis makes up from the OpenAPI document: is each answered as the document says?

    python benchmarks/serving/documented.py --examples 200        of every operation

In one process, against a small real model over a real store. Ends with an error, and the smallest request that shows
it, where an answer is 5xx or none that its document allows.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.serving.test_schema import ask_as_documented, document_over


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--examples", type=int, default=200)
    options = asked.parse_args()
    began, seen = time.monotonic(), Counter[int]()
    with tempfile.TemporaryDirectory(prefix="evergreen-documented-") as folder:
        operations = [found.ok() for found in document_over(Path(folder)).get_all_operations()]
        for number, operation in enumerate(operations, start=1):
            statuses = Counter(ask_as_documented(operation, options.examples))
            seen += statuses
            print(f"[{number}/{len(operations)}] {operation.label}: {dict(statuses)}", file=sys.stderr, flush=True)
    total = ", ".join(f"{count:,} x {status}" for status, count in sorted(seen.items()))
    print(f"{seen.total():,} requests of {len(operations)} operations in {time.monotonic() - began:.0f} s: {total}")


if __name__ == "__main__":
    main()
