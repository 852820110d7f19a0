"""The table of faults that a run of the tests planted: how many of each kind, survived and lost."""

from collections import Counter
from typing import Any

FAULT = "fault"


def write_table(reporter: Any) -> None:
    """Write it at the end of what pytest says. What was counted came with the reports, whichever process ran them."""
    tally: dict[str, Counter[str]] = {}
    for report in (*reporter.stats.get("passed", ()), *reporter.stats.get("failed", ())):
        for name, value in getattr(report, "user_properties", ()):
            if name == FAULT and report.when == "call":
                tally.setdefault(value[0], Counter())[value[1]] += 1
    if not tally:
        return
    reporter.section("faults")
    reporter.write_line(f"{'planted':<44}{'faults':>8}{'survived':>10}{'lost':>6}")
    for kind, counts in (*sorted(tally.items()), ("all", sum(tally.values(), Counter()))):
        reporter.write_line(f"{kind:<44}{counts.total():>8}{counts['survived']:>10}{counts['lost']:>6}")
