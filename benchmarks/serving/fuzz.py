"""At least 10,000 requests, a good part of them as the rules allow: nothing breaks the server or makes it tell.

    python benchmarks/serving/fuzz.py --requests 12000 --seed 1

A server of a small real model over a real store, with keys, in a process of its own; requests go to it over HTTP. What
is valid has to be answered 200. Nothing may be answered 5xx, or say what it should not: the key, what a request held,
a path of this machine, a traceback. Ends with 1, and the smallest request that hypothesis finds, where one is.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.serving import fuzzed
from benchmarks.serving.client import Reply, read, request_of
from benchmarks.serving.fuzzed import Sent
from benchmarks.serving.process import run_script, running
from evergreen.serving.keys import Scope, make_key
from evergreen.supervisor.ports import free_port

REPOSITORY = Path(__file__).parents[2]
TOGETHER, CONNECTIONS, NOISE = 24, 4, 2
_MOST_SAID = 20_000
_NOISE_SECONDS = 5.0


@dataclass
class Fuzz:
    """Sends requests to a server, and judges what comes back."""

    port: int
    key: str
    leaks: tuple[str, ...]
    seen: Counter[int] = field(default_factory=Counter)
    valid: int = 0
    noise: int = 0

    async def send(self, many: list[Sent]) -> None:
        """Send requests on a few connections, in turns."""
        await asyncio.gather(*(self._connection(many[step::CONNECTIONS]) for step in range(CONNECTIONS)))

    async def _connection(self, many: list[Sent]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for sent in many:
            writer.write(request_of(sent.path, sent.body, sent.headers, sent.method))
            reply = await read(reader, sent.method != "HEAD")
            self.judge(sent, reply)
            if reply.is_last:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()

    async def send_noise(self, said: bytes) -> None:
        """Send bytes, say no more, and judge whatever is answered until the server hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(said)
            writer.write_eof()
            answered = await asyncio.wait_for(reader.read(), _NOISE_SECONDS)
        except ConnectionError:
            answered = b""
        finally:
            writer.close()
        self.noise += 1
        assert not answered.startswith(b"HTTP/1.1 5"), (said, answered)
        self._require_silence(answered.decode("latin-1"))

    def judge(self, sent: Sent, reply: Reply) -> None:
        """Raises AssertionError where an answer is none that it should be."""
        self.seen[reply.status] += 1
        self.valid += sent.valid
        said = reply.body.decode("utf-8", errors="replace")
        assert reply.status < 500, (sent, said)
        assert reply.status == 200 or not sent.valid, (sent, said)
        if reply.status >= 400:
            assert len(reply.body) < _MOST_SAID, sent
            self._require_silence(said + str(reply.headers))

    def _require_silence(self, said: str) -> None:
        assert not [leak for leak in self.leaks if leak in said], said


def fuzz(found: Fuzz, requests: int, number: int) -> None:
    """Send so many requests, half of them valid, and some bytes that are none."""
    loop, valid = asyncio.new_event_loop(), st.lists(fuzzed.valid, min_size=TOGETHER // 2, max_size=TOGETHER // 2)
    spoiled = st.lists(fuzzed.spoiled, min_size=TOGETHER // 2, max_size=TOGETHER // 2)
    said = time.monotonic()

    @seed(number)
    @settings(
        max_examples=-(-requests // TOGETHER), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(valid, spoiled, st.lists(fuzzed.noise, min_size=NOISE, max_size=NOISE))
    def ask(good, bad, noise):
        nonlocal said
        # A few come without a key: what is refused for that is never looked at.
        known = [sent if place % 6 == 5 else with_key(sent, found.key) for place, sent in enumerate(bad)]
        known += [with_key(sent, found.key) for sent in good]
        loop.run_until_complete(found.send(known))
        for each in noise:
            loop.run_until_complete(found.send_noise(each))
        if time.monotonic() - said > 5:
            said = time.monotonic()
            print(f"[{found.seen.total():,}/{requests:,}]", file=sys.stderr, flush=True)

    try:
        ask()
    finally:
        loop.close()


def with_key(sent: Sent, key: str) -> Sent:
    return replace(sent, headers=(("x-api-key", key), *sent.headers))


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--requests", type=int, default=12_000)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    text, key = make_key("fuzz", [Scope.PREDICT, Scope.FEEDBACK])
    with tempfile.TemporaryDirectory(prefix="evergreen-fuzz-") as folder:
        port, log = free_port(), Path(folder) / "server.log"
        command = [sys.executable, str(Path(__file__).with_name("fuzz_server.py")), folder, str(port)]
        leaks = (text, key.digest.hex(), fuzzed.SECRET * 2, "Traceback", "site-packages", str(REPOSITORY), folder)
        found, began = Fuzz(port, text, leaks), time.monotonic()
        environment = {**os.environ, "EVERGREEN_SERVE_KEYS": key.line}
        with running(command, f"http://127.0.0.1:{port}/health", environment, log):
            fuzz(found, options.requests, options.seed)
        broken = [line for line in log.read_text().splitlines() if "Error" in line or "Traceback" in line]
    statuses = ", ".join(f"{count:,} x {status}" for status, count in sorted(found.seen.items()))
    share, total = found.valid / found.seen.total(), found.seen.total()
    print(f"{total:,} requests in {time.monotonic() - began:.0f} s, {share:.0%} of them valid: {statuses}")
    print(f"{found.noise:,} connections with bytes that are no request; {len(broken)} errors in the log")
    print("\n".join(broken[:5]), file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    run_script(main)
