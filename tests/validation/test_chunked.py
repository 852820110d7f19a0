"""Rules over chunks say what rules over the whole say."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.spec.columns import TableRules
from evergreen.validation.chunked import check_chunks
from evergreen.validation.columns import check_rule
from evergreen.validation.rules import compile_rules

RULES = compile_rules(
    TableRules(
        columns={
            "price": {"type": "number", "min": 0, "max": 5, "max_null_share": 0.2},
            "plan": {"type": "category", "allowed": ["basic", "plus"], "unseen": "warn"},
        }
    )
)
ROWS = st.lists(
    st.tuples(st.sampled_from([-1.0, 0.0, 2.5, 9.0, np.nan]), st.sampled_from(["basic", "plus", "pro", None])),
    min_size=1,
    max_size=30,
)


def frame(rows):
    table = pd.DataFrame(rows, columns=["price", "plan"])
    return table.assign(price=table["price"].astype(float), plan=pd.Categorical(table["plan"]))


@settings(deadline=None)
@given(rows=ROWS, size=st.integers(1, 31))
def test_chunks_break_the_rules_that_the_whole_breaks(rows, size):
    chunks = [frame(rows[start : start + size]) for start in range(0, len(rows), size)]
    whole = frame(rows)
    assert list(check_chunks(RULES, chunks)) == [check_rule(rule, whole[rule.column]) for rule in RULES]
