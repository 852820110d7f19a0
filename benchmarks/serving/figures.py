"""What was measured of a contestant, and the tables of it."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any

BASE = "mlflow"


@dataclass(frozen=True)
class Case:
    """So many rows a request, and so many connections."""

    rows: int
    connections: int

    def __str__(self) -> str:
        """As the head of a column says it."""
        if self.rows > 1:
            return f"{self.rows:,} rows"
        return f"1 row, {self.connections} connection{'s' if self.connections > 1 else ''}"


@dataclass
class Figures:
    """Of one contestant: what each round of each case gave."""

    said: str
    rounds: dict[Case, list[dict[str, Any]]] = field(default_factory=dict)
    peak_megabytes: float = 0.0

    def add(self, case: Case, one: dict[str, Any]) -> None:
        """One more round."""
        self.rounds.setdefault(case, []).append(one)
        self.peak_megabytes = max(self.peak_megabytes, one.get("peak_mb", 0.0))

    def cpu_ms(self, case: Case) -> float:
        """CPU milliseconds a request, of all rounds together."""
        rounds = self.rounds[case]
        return 1000 * sum(one["cpu_s"] for one in rounds) / max(1, sum(one["answers"] for one in rounds))

    def bad(self, case: Case) -> int:
        """Answers that were no 200."""
        return sum(one["bad"] for one in self.rounds[case])

    def middle(self, case: Case, name: str) -> float:
        """The median of the rounds."""
        return median(one[name] for one in self.rounds[case])


def tables(kind: str, cases: list[Case], found: dict[str, Figures]) -> str:
    """Markdown: CPU with ratios to MLflow's server and memory, then latencies."""
    heads = " | ".join(map(str, cases))
    dashes = " | ".join(["---:"] * len(cases))
    lines = [f"\n{kind}: CPU ms a request of the process tree, and how many times less than MLflow's; peak MB", ""]
    lines += [f"| server | {heads} | MB |", f"| --- | {dashes} | ---: |"]
    base = found.get(BASE)
    for name, each in found.items():
        cells = [_cpu(each, case, None if name == BASE else base) for case in cases]
        lines.append(f"| {each.said} | {' | '.join(cells)} | {each.peak_megabytes:.0f} |")
    lines += [f"\n{kind}: p50 and p99 in ms, as the one process of the client sees them", ""]
    lines += [f"| server | {heads} |", f"| --- | {dashes} |"]
    for each in found.values():
        shown = [_latency(each, case) for case in cases]
        lines.append(f"| {each.said} | {' | '.join(shown)} |")
    return "\n".join(lines)


def plain(found: dict[str, Figures]) -> dict[str, Any]:
    """Everything, for a file."""
    return {
        name: {"peak_megabytes": each.peak_megabytes, **{str(case): rounds for case, rounds in each.rounds.items()}}
        for name, each in found.items()
    }


def _latency(each: Figures, case: Case) -> str:
    if case not in each.rounds:
        return "-"
    return f"{each.middle(case, 'p50_ms'):.2f}, {each.middle(case, 'p99_ms'):.2f}"


def _cpu(each: Figures, case: Case, base: Figures | None) -> str:
    if case not in each.rounds:
        return "-"
    spent = each.cpu_ms(case)
    shown = f"{spent:.3f}" if spent < 1 else f"{spent:.1f}"
    if base is not None:
        times = base.cpu_ms(case) / spent
        shown += f" ({times:.0f} x)" if times >= 10 else f" ({times:.1f} x)"
    return shown + (f", {each.bad(case)} failed" if each.bad(case) else "")
