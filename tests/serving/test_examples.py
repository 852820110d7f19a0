"""Examples in the documents are what requests are like, are taken, and are nobody's row."""

import math
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from evergreen.serving.cache import SPEC, Cache, keep_spec
from evergreen.serving.document import posted, row_example, row_schema
from evergreen.serving.examples import example_by_rules, typical_row
from evergreen.serving.fetch import fetch
from evergreen.serving.handles import Column
from evergreen.serving.load import load_served
from tests.serving.application import COLUMNS, application, ask, served

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def load(project):
    lineup = fetch("tiny", project.settings, NOW)
    cache = Cache(project.settings.home, "tiny")
    return load_served(cache.version_folder(lineup.champion.digest), lineup.champion)


def test_the_example_of_a_version_is_of_its_stored_requests_and_is_answered(crowned):
    model = load(crowned)
    example = row_example(model)
    by_rules = {column.name: example_by_rules(column) for column in model.columns}
    assert [name for name in example if example[name] != by_rules[name]], "some value is none that is made up"
    answer = ask(application(model), "POST", "/predict", json=example)
    assert answer.status_code == 200


@pytest.mark.parametrize("named", [False, True], ids=["left out", "name of the row"])
def test_what_is_never_kept_and_what_names_a_row_is_in_no_example(crowned, named):
    before = row_example(load(crowned))
    model = load(crowned)
    private = next(c.name for c in model.columns if before[c.name] != example_by_rules(c))
    cache = Cache(crowned.settings.home, "tiny")
    folder = cache.version_folder(model.digest)
    edited, values = crowned.folder / "edited.yaml", yaml.safe_load((folder / SPEC).read_text())
    rules = (
        {"data": {**values["data"], "id_column": private}}
        if named
        else {"serving": {"capture": {"leave_out": [private]}}}
    )
    edited.write_text(yaml.safe_dump({**values, **rules}))
    keep_spec(folder, edited)
    after = row_example(load(crowned))
    assert after[private] == next(example_by_rules(c) for c in model.columns if c.name == private)
    assert {name: value for name, value in after.items() if name != private} == {
        name: value for name, value in before.items() if name != private
    }


# Rows as validation may have let them pass: a few beyond the rules, and nulls.
ROWS = st.lists(
    st.tuples(
        st.floats(-10, 200) | st.just(math.nan),
        st.integers(-5, 50).map(float),
        st.sampled_from(["basic", "plus", "pro", "gold", None]),
        st.sampled_from([0.0, 1.0, math.nan]),
        st.integers(0, 2**50) | st.none(),
        st.sampled_from(["call Eva", None]),
    ),
    max_size=8,
)


@given(ROWS)
def test_a_typical_row_keeps_the_rules_and_shows_no_text_that_somebody_wrote(rows):
    model = served()
    row = typical_row(COLUMNS, rows)
    Draft202012Validator(row_schema(model)).validate(row)
    assert row["note"] == "a"


def test_no_row_is_shown_whole():
    rows = [(10.0, 1.0, "basic", 0.0, 0, "x"), (20.0, 2.0, "pro", 1.0, 1, "y"), (30.0, 3.0, "pro", 1.0, 2, "z")]
    row = typical_row(COLUMNS[:4], [row[:4] for row in rows])
    assert row == {"price": 20.0, "count": 2, "plan": "pro", "gift": True}
    rows = [(10.0, 3.0, "pro", 0.0), (20.0, 1.0, "basic", 1.0), (30.0, 2.0, "pro", 1.0)]
    row = typical_row(COLUMNS[:4], rows)
    assert tuple(row.values()) not in rows


@pytest.mark.parametrize(
    ("values", "allowed", "shown"),
    [
        ([f"{place}@example.com" for place in range(9)], None, "a"),
        (["Eva"] * 4 + ["Ada"], None, "a"),
        (["north"] * 5 + ["Ada"], None, "north"),
        (["pro"], ("basic", "pro"), "pro"),
    ],
)
def test_a_category_is_shown_where_several_rows_or_the_rules_have_it(values, allowed, shown):
    column = Column("who", "category", allowed=allowed)
    assert typical_row([column], [(value,) for value in values]) == {"who": shown}


def test_the_example_of_feedback_names_a_class_of_the_model():
    app = application(served())
    (path,) = [path for path in posted(app._loaded) if path == "/feedback"]
    example = posted(app._loaded)[path]["post"]["requestBody"]["content"]["application/json"]["examples"]["one"][
        "value"
    ]
    assert example["label"] in ("no", "yes")
