"""What a prediction costs, beside `mlflow models serve` of the same model and other servers: CPU of the process tree.

    python benchmarks/serving/load.py                                       all of it: two models, in about ten minutes
    python benchmarks/serving/load.py --only mlflow,evergreen --models logistic_regression --connections 1,16

Every server has one worker, and Evergreen captures into SQLite. All of a model's servers run; each case is put to one
after the other, in rounds, by a client in a process of its own. CPU and answers of the rounds are added. Before, each
has to give the pipeline's own answers. Trust ratios and CPU: on a shared machine seconds say little. Linux.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).parents[2]))

import psutil

from benchmarks.serving import contestants, figures, workload
from benchmarks.serving.contestants import Contestant, body_of
from benchmarks.serving.figures import Case, Figures
from benchmarks.serving.process import cpu_seconds, peak_megabytes, run_script, running
from evergreen.supervisor.ports import free_port

HERE = Path(__file__).parent
TREES = "hist_gradient_boosting"
_WARM_SECONDS = 1.0
_CHECKED_ROWS = 25


@dataclass(frozen=True)
class Server:
    """A contestant that runs, and what it was asked before."""

    who: Contestant
    port: int
    process: psutil.Process
    warm: set[Case] = field(default_factory=set)


@dataclass
class Progress:
    """Says on standard error what was measured, of how much."""

    total: int
    done: int = field(default=0)

    def say(self, what: str) -> None:
        self.done += 1
        print(f"[{self.done}/{self.total}] {what}", file=sys.stderr, flush=True)


def main() -> None:
    options = parse()
    if {"flask", "bentoml"} & set(options.only):
        contestants.make_peers()
    cases = [Case(1, count) for count in options.connections] + [Case(rows, 1) for rows in options.rows]
    progress = Progress(len(options.models) * len(options.only) * len(cases) * options.rounds)
    found = {}
    for kind in options.models:
        with tempfile.TemporaryDirectory(prefix="evergreen-load-") as folder:
            found[kind] = measure_kind(Path(folder), kind, cases, options, progress)
        print(figures.tables(kind, cases, found[kind]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps({kind: figures.plain(each) for kind, each in found.items()}, indent=2))


def parse() -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--models", type=_some(tuple(workload.PARAMS)), default=list(workload.PARAMS))
    asked.add_argument("--only", type=_some(contestants.NAMES), default=list(contestants.NAMES), help="Some servers.")
    asked.add_argument("--connections", type=_numbers, default=[1, 16, 64], help="That ask for single rows.")
    asked.add_argument("--rows", type=_numbers, default=[1000], help="Of a batch; empty for none.")
    asked.add_argument("--seconds", type=float, default=3.0, help="Of one measurement.")
    asked.add_argument("--rounds", type=int, default=2)
    asked.add_argument("--json", type=Path, help="Write every figure there.")
    return asked.parse_args()


def measure_kind(
    home: Path, kind: str, cases: list[Case], options: argparse.Namespace, progress: Progress
) -> dict[str, Figures]:
    """Figures of one model, by the names of the contestants."""
    print(f"{kind}: training it, and starting the servers", file=sys.stderr, flush=True)
    model = workload.prepare(home, kind)
    named = [who for who in contestants.contestants(home, model) if who.name in options.only]
    wanted = [who for who in named if kind == TREES or not who.only_trees]
    progress.done += (len(named) - len(wanted)) * len(cases) * options.rounds
    found = {who.name: Figures(who.said) for who in wanted}
    with ExitStack() as started:
        servers: list[Server] = []
        for who in wanted:
            shared = next((one for one in servers if one.who.name == who.shares), None)
            if who.shares and shared is None:
                sys.exit(f"{who.name} asks the server of {who.shares}: name both with --only")
            servers.append(replace(shared, who=who, warm=set()) if shared else start(who, home, started))
            require_equal(servers[-1], model)
        measured: list[tuple[str, Callable[[Case], dict[str, Any]]]] = [
            (server.who.name, lambda case, server=server: measure(server, case, options.seconds)) for server in servers
        ]
        if "loop" in options.only:
            found["loop"] = Figures(contestants.LOOP)
            measured.append(("loop", lambda case: loop(model, case, options.seconds)))
        for case, name, ask in turns(cases, measured, options.rounds):
            if is_left_out(name, case, wanted):
                progress.done += 1
                continue
            found[name].add(case, ask(case))
            progress.say(f"{kind}, {case}, {name}: {found[name].cpu_ms(case):.3f} ms")
        for server in servers:
            found[server.who.name].peak_megabytes = peak_megabytes(server.process)
    return found


def is_left_out(name: str, case: Case, wanted: list[Contestant]) -> bool:
    """True for a loop that asks on many connections, and for forms that are for batches alone."""
    if name == "loop":
        return case.connections > 1
    return case.rows == 1 and next(who for who in wanted if who.name == name).only_batches


def turns(cases: list[Case], measured: list[Any], rounds: int) -> Iterator[tuple[Case, str, Callable[[Case], Any]]]:
    """Each contestant after the other, every other round from the last to the first."""
    for case in cases:
        for turn in range(rounds):
            for name, ask in measured[:: -1 if turn % 2 else 1]:
                yield case, name, ask


def start(who: Contestant, home: Path, started: ExitStack) -> Server:
    port = free_port()
    command = [part.replace(contestants.PORT, str(port)) for part in who.command]
    health = f"http://127.0.0.1:{port}{who.health}"
    log = home / f"{who.name}.log"
    return Server(who, port, started.enter_context(running(command, health, contestants.environment_of(who), log)))


def require_equal(server: Server, model: workload.Model) -> None:
    """End where a server does not give the pipeline's own answers: what it costs would say nothing."""
    if server.who.says is None:
        return
    import pandas as pd

    (rows,) = workload.requests_of(_CHECKED_ROWS, 1)
    asked = [rows] if server.who.only_batches else [rows, *([row] for row in rows)]
    for some in asked:
        said = server.who.says(post(server, body_of(server.who.form, some)))
        if said != model.fitted.predict(pd.DataFrame(some)).tolist():
            sys.exit(f"{server.who.name} does not answer as the pipeline does")


def post(server: Server, body: bytes) -> bytes:
    address = f"http://127.0.0.1:{server.port}{server.who.path}"
    with urlopen(Request(address, body, {"content-type": server.who.kind, "accept": server.who.kind})) as answer:
        return answer.read()


def measure(server: Server, case: Case, seconds: float) -> dict[str, Any]:
    """What the client saw of one server, and the CPU that it took meanwhile."""
    is_warm = case in server.warm
    server.warm.add(case)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        some = workload.requests_of(case.rows, 100 if case.rows == 1 else 4)
        json.dump([body_of(server.who.form, rows).decode("latin-1") for rows in some], file)
        file.flush()
        client = [sys.executable, str(HERE / "client.py"), str(server.port), server.who.path, str(case.connections)]
        if not is_warm:
            # Whatever is made at the first use is made in a first, short one; peers that adapt do so then.
            subprocess.run(
                [*client, str(min(_WARM_SECONDS, seconds)), file.name, server.who.kind], check=True, capture_output=True
            )
        before = cpu_seconds(server.process)
        done = subprocess.run(
            [*client, str(seconds), file.name, server.who.kind], check=True, capture_output=True, text=True
        )
        spent = cpu_seconds(server.process) - before
    return {"cpu_s": spent, **json.loads(done.stdout)}


def loop(model: workload.Model, case: Case, seconds: float) -> dict[str, Any]:
    """What the pipeline alone costs, a request after the other."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(workload.requests_of(case.rows, 20 if case.rows == 1 else 4), file)
        file.flush()
        command = [sys.executable, str(contestants.PEERS / "loop.py"), str(model.pipeline), file.name, str(seconds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _some(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        chosen = [part for part in text.split(",") if part]
        if unknown := [part for part in chosen if part not in known]:
            raise argparse.ArgumentTypeError(f"unknown {unknown[0]}; there are {', '.join(known)}")
        return chosen

    return read


if __name__ == "__main__":
    run_script(main)
