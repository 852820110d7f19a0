import json
from datetime import UTC, datetime

from evergreen.checks import Outcome
from evergreen.drift.result import ColumnDrift, DriftResult
from evergreen.drift.text import to_dict, to_markdown

RESULT = DriftResult(
    columns=(
        ColumnDrift("plan", "input", "chisquare", 0.4, 0.05, 0.01, Outcome.PASS, "share of pro 10% → 11%"),
        ColumnDrift("age", "input", "ks", None, 0.05, None, Outcome.UNKNOWN, "no reference"),
        ColumnDrift("a|b", "input", "ks", 1e-9, 0.05, 0.3, Outcome.FAIL, "median 1 → 2"),
    ),
    share=0.5,
    current_rows=12_000,
    reference_rows=50_000,
    since=datetime(2013, 3, 1, tzinfo=UTC),
    note="A note.",
)


def test_what_drifted_stands_first_and_no_name_breaks_the_table():
    lines = to_markdown(RESULT).splitlines()
    assert lines[0] == "**Drift: 50% of inputs** (12,000 current rows against 50,000)"
    assert lines[4] == "| a\\|b | input | drifted | 0.3 | ks | 1e-09 | median 1 → 2 |"
    assert lines[5].startswith("| age | input | unknown | – | ks | – |")
    assert lines[6].startswith("| plan | input | no |")
    assert lines[-1] == "A note."


def test_a_result_without_columns_is_one_line():
    assert to_markdown(DriftResult((), None, 0, 0)) == "**Drift: unknown** (0 current rows against 0)\n"


def test_the_plain_values_are_json():
    values = json.loads(json.dumps(to_dict(RESULT), allow_nan=False))
    assert values["since"] == "2013-03-01T00:00:00+00:00"
    assert [c["outcome"] for c in values["columns"]] == ["PASS", "UNKNOWN", "FAIL"]
