"""The guide to serving names what there is: every way of being refused, every metric, every option."""

import json
import re
from pathlib import Path

from evergreen.serving.limits import Limits
from evergreen.spec import load_spec
from tests.serving.application import application, ask, served

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs" / "serving.md").read_text(encoding="utf-8")
SOURCES = "\n".join(path.read_text() for path in (REPOSITORY / "src" / "evergreen" / "serving").glob("*.py"))


def test_every_refusal_is_in_the_table_with_its_status():
    raised = set(re.findall(r'Refused\(\s*(\d{3}),\s*"(\w+)"', SOURCES))
    rows = re.findall(r"(?m)^\| (\d{3}) \| ([^|]+) \|", GUIDE)
    told = {(status, kind) for status, kinds in rows for kind in re.findall(r"`(\w+)`", kinds)}
    assert len(raised) >= 15
    assert raised - told == set()
    assert told - raised <= {("404", "not_found"), ("405", "method"), ("500", "internal")}


def test_every_metric_is_told():
    text = ask(application(served()), "GET", "/metrics").text
    names = set(re.findall(r"(?m)^# HELP (evergreen_\w+)", text))
    assert {name for name in names if name not in GUIDE} == set()


def test_every_option_is_told():
    source = (REPOSITORY / "src" / "evergreen" / "cli" / "serving.py").read_text(encoding="utf-8")
    options = re.findall(r"(?m)^    (\w+): Annotated\[\s*[\w\[\]| ]+,\s*typer\.Option", source)
    assert len(options) >= 8
    assert [name for name in options if f"--{name}" not in GUIDE] == []


def test_the_limits_are_those_that_are_told():
    limits = Limits()
    assert (limits.body_bytes, limits.rows, limits.single_rows, limits.body_seconds) == (10_000_000, 50_000, 64, 30.0)


def test_the_example_is_a_row_of_the_model_that_it_names():
    spec = load_spec(REPOSITORY / "configs" / "churn.yaml")
    body = json.loads(re.search(r"(?s)/predict -H .*?-d '(.*?)'", GUIDE).group(1))
    assert set(body) == {*spec.raw_inputs, spec.data.id_column}
