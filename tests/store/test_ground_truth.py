"""Labels are taken at a pace that does not depend on how many are there."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from evergreen.store.ground_truth import keep
from evergreen.store.ledger import Ledger
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def kind() -> str:
    """The planner that is led is SQLite's."""
    return "sqlite"


@pytest.mark.parametrize("many", [1, 10, 200])
def test_whoever_takes_labels_looks_them_up_by_name(ledger: Ledger, many: int):
    rows = [
        Prediction(f"r{place}.0", f"r{place}", "churn", 1, Role.CHAMPION, NOW, {}, "no", {}, f"c{place}")
        for place in range(2 * many)
    ]
    Traffic(ledger.url).write(rows, NOW)
    said = [Feedback("churn", "yes", NOW, NOW, row.id) for row in rows[:many]]
    said += [Feedback("churn", "yes", NOW, NOW, None, row.row_id) for row in rows[many:]]
    engine, asked = sa.create_engine(ledger.url), list[tuple[str, tuple[object, ...]]]()
    event.listen(engine, "before_cursor_execute", lambda _1, _2, text, values, *_: asked.append((text, values)))
    with engine.begin() as connection:
        keep(connection, said)
        looked = [(text, values) for text, values in asked if text.startswith("SELECT")]
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in looked]
    steps = [step[3] for plan in plans for step in plan]
    assert len(plans) >= 4
    assert not [step for step in steps if "(model=?)" in step or step == "SCAN ground_truth"]
