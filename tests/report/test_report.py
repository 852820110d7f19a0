import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evergreen.checks import Check, Outcome
from evergreen.data.snapshot import Snapshot
from evergreen.drift.result import ColumnDrift, DriftResult
from evergreen.evaluation.result import Comparison, Evaluation, Flips, ModelScore, SliceScore
from evergreen.gate.decision import Decision, DecisionKind, Reason
from evergreen.gate.judge import decide, hold_for_data, skip
from evergreen.report.card import write_card
from evergreen.report.page import render, write
from evergreen.report.run import Fact, RunReport, headline
from evergreen.report.summary import summarize
from evergreen.spec.model import ModelSpec
from evergreen.training.handles import FittedModel, Recipe, RowSplit, TrialResult

AT = datetime(2024, 5, 6, 7, 0, tzinfo=UTC)
NASTY = "<script>alert('north')</script>"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20

STOPPED = RunReport(
    "churn",
    AT,
    Reason.SCHEDULED,
    hold_for_data(
        [Check("price: min", Outcome.FAIL, 41, "≥ 0", "price: 41 values are below 0, first in rows 17, 102")]
    ),
)


@pytest.fixture
def full(tmp_path) -> RunReport:
    picture = tmp_path / "roc.png"
    picture.write_bytes(PNG)
    evaluation = Evaluation(
        metric="log_loss",
        greater_is_better=False,
        rows=2500,
        challenger=ModelScore({"accuracy": 0.91, "log_loss": 0.21, "roc_auc": None}, 4.9, 1.2),
        dummy=0.69,
        champion=ModelScore({"accuracy": 0.92, "log_loss": 0.25, "roc_auc": None}),
        champion_version=3,
        comparison=Comparison("log_loss", 0.21, 0.25, 0.04, 0.01, 0.07, 0.005, 0.95, 2500, 14),
        slices=(SliceScore("region", NASTY, 300, 0.3, 0.2, -0.1, -0.2, 0.01),),
        flips=Flips(0.01, 0.02, 0.03),
        holdout_from=AT,
        holdout_until=AT,
        plots=(str(picture),),
    )
    recipes = [Recipe(0, "logistic_regression", {"C": c}, "scaled", varied=("C",)) for c in (0.1, 1)]
    trials = [TrialResult(r, "log_loss", (m, m), m, 0.01, 2.0, 900) for r, m in zip(recipes, (0.3, 0.2), strict=True)]
    return RunReport(
        "churn",
        AT,
        Reason.DRIFT,
        decide([Check("slices", Outcome.FAIL, -0.1, "≥ -0.01 each", f"region = {NASTY} got worse")]),
        description="Who leaves?",
        owner="crm@example.com",
        champion_version=3,
        version=12,
        snapshot=Snapshot("s", "ab12" * 16, 3000, 2900, AT),
        warnings=(Check("plan", Outcome.FAIL, 1.0, "", "plan is constant"),),
        drift=DriftResult((ColumnDrift(NASTY, "input", "ks", 1e-9, 0.05, 0.4, Outcome.FAIL, "moved"),), 1.0, 800, 5000),
        split=RowSplit("", 400, 2500),
        trials=tuple(trials),
        fitted=FittedModel(recipes[1], "", "", 400, 1.0),
        evaluation=evaluation,
        facts=(Fact("MLflow run", "f00d", "http://tracking.example/run/f00d"),),
    )


class Reader(HTMLParser):
    """Checks that tags close, and gathers text and what a browser would fetch."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.text, self.fetched = [], "", []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.fetched += [values[name] for name in ("src", "data", "poster", "srcset") if name in values]
        self.fetched += [values["href"]] if tag == "link" else []
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_run_that_stopped_at_its_data_says_why_and_shows_nothing_it_has_not():
    text = Reader(render(STOPPED)).text
    assert "HOLD" in text
    assert "41 values are below 0, first in rows 17, 102" in text
    assert not {"Slices", "Drift", "trial", "Pictures"} & set(re.findall(r"\w+", text.split("</style>")[-1]))


def test_a_full_run_shows_all_its_parts(full):
    text = Reader(render(full)).text
    for part in (
        "REJECT",
        "The gate",
        "Worth a look",
        "Slices",
        "Drift",
        "2 trials",
        "Pictures",
        "14 blocks of time",
        "version 3",
        "ab12ab12ab12",
    ):
        assert part in text


def test_names_from_the_data_are_text_and_never_markup(full):
    page = render(full)
    assert "<script" not in page
    assert NASTY in Reader(page).text


def test_the_page_fetches_nothing_from_anywhere(full):
    page = render(full)
    fetched = Reader(page).fetched
    assert len(fetched) == 1
    assert fetched[0].startswith("data:image/png;base64,")
    assert not re.search(r"@import|url\(", page)
    assert re.findall(r"https?://[^\"<]+", page) == ["http://tracking.example/run/f00d"]


def test_each_column_holds_its_own_models_values(full):
    row = re.search(r"<td>accuracy ↑</td>(.*?)</tr>", render(full), re.DOTALL)[1]
    assert re.findall(r"<td[^>]*>(?:<span[^>]*>)?([^<]*)", row)[:4] == ["0.9100", "0.9200", "−0.0100", "worse"]


def test_for_an_error_less_is_better(full):
    row = re.search(r"<td>log_loss ↓</td>(.*?)</tr>", render(full), re.DOTALL)[1]
    assert re.findall(r"<td[^>]*>(?:<span[^>]*>)?([^<]*)", row) == ["0.2100", "0.2500", "−0.0400", "better", "0.6900"]


def test_the_best_trial_stands_first_and_the_chosen_one_is_marked(full):
    recipes = re.findall(r"<tr( class=\"decisive\")?><td>(logistic_regression[^<]*)", render(full))
    assert recipes == [(' class="decisive"', "logistic_regression C=1"), ("", "logistic_regression C=0.1")]


def test_a_metric_that_neither_model_has_is_left_out(full):
    assert "roc_auc" not in Reader(render(full)).text


def test_a_first_run_has_no_champion_in_its_columns(full):
    evaluation = replace(
        full.evaluation,
        champion=None,
        champion_version=None,
        comparison=None,
        flips=None,
        comparison_note="no champion yet",
    )
    text = Reader(render(replace(full, evaluation=evaluation, champion_version=None))).text
    assert "Not compared: no champion yet." in text


def test_a_page_is_written_into_a_folder_that_is_not_there_yet(tmp_path):
    path = write(STOPPED, tmp_path / "reports" / "run.html")
    assert path.read_text(encoding="utf-8") == render(STOPPED)


@pytest.mark.parametrize(
    ("decision", "champion", "words"),
    [
        (Decision(DecisionKind.PROMOTE, ("all 7 checks passed",)), None, "may become the first champion: all 7"),
        (Decision(DecisionKind.PROMOTE, ("all 7 checks passed",)), 3, "may replace the champion: all 7"),
        (
            Decision(DecisionKind.REJECT, ("accuracy is 0.7", "f1 is 0.6")),
            3,
            "is rejected: accuracy is 0.7 (and 1 more)",
        ),
        (skip("nothing drifted"), 3, "churn was not retrained: nothing drifted"),
    ],
)
def test_the_headline_is_one_sentence(decision, champion, words):
    assert words in headline(replace(STOPPED, decision=decision, champion_version=champion))


def test_the_summary_fits_a_terminal_and_has_no_colour_codes_unless_asked(full):
    text = summarize(full, width=90)
    assert max(map(len, text.splitlines())) <= 90
    assert "\x1b" not in text
    assert "\x1b[" in summarize(full, color=True)
    assert "slices" in text
    assert "http://tracking.example/run/f00d" in text


def test_square_brackets_in_the_data_are_not_read_as_styles():
    decision = decide([Check("[red]", Outcome.FAIL, None, "[bold]", "[link=x] broke")])
    assert "[red]" in summarize(replace(STOPPED, decision=decision))


def test_an_address_is_never_broken_over_lines():
    address = "file:///" + "long/" * 60 + "report.html"
    assert address in summarize(replace(STOPPED, facts=(Fact("report", address),)), width=80)


SPEC = ModelSpec.model_validate(
    {
        "model": "churn",
        "task": "classification",
        "owner": "crm@example.com",
        "data": {"source": {"kind": "csv", "path": "x.csv"}, "target": "left", "time_column": "at", "window": "365d"},
        "features": {"numeric": ["price"], "categorical": ["region"]},
        "training": {
            "split": {"kind": "time", "holdout": "30d"},
            "metric": "log_loss",
            "candidates": [{"kind": "logistic_regression"}],
        },
    }
)


def test_the_card_says_what_a_version_is_for_made_of_and_worth(full):
    card = write_card(full, SPEC)
    for part in (
        "# churn",
        "`left`, classification",
        "crm@example.com",
        "`price` (number), `region` (category)",
        "ab12ab12ab12",
        "| log_loss ↓ | 0.2100 | 0.2500 | 0.6900 |",
        "365 days",
        "models:/churn@champion",
        "| slices |",
    ):
        assert part in card


def test_a_card_can_be_written_before_anything_was_measured():
    assert "## Limits" in write_card(STOPPED, SPEC)


def test_the_template_is_shipped_with_the_package():
    from importlib.resources import files

    assert Path(str(files("evergreen.report") / "page.html.j2")).is_file()
