"""Traffic goes when it is as old as its spec says, and not before."""

from dataclasses import replace
from datetime import timedelta

from evergreen.operations.tend import tend
from evergreen.store.asked import Asked, Minute, Requests
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic


def test_a_pass_deletes_what_is_older_than_the_spec_keeps(home, later):
    home.write("churn", serving={"capture": {"keep": "30d"}})
    home.write("demand")
    traffic, now = Traffic(home.settings.store_url), later()
    old = Prediction("a.0", "a", "churn", 1, Role.CHAMPION, now - timedelta(days=31), {"price": 1.5}, "no")
    young = replace(old, id="b.0", request="b", at=now - timedelta(days=29))
    kept = replace(old, id="c.0", request="c", model="demand")
    traffic.write([old, young, kept], now)
    traffic.write_feedback([Feedback("churn", "yes", old.at, old.at, prediction_id=old.id)])
    counts = Requests(home.settings.store_url)
    counts.write("a", [Minute("churn", answer.at, Asked(1)) for answer in (old, young)])
    lines = tend(home.settings, None, now, {})
    assert [line for line in lines if line.startswith("traffic")] == [
        f"traffic: 1 predictions of churn from before {now - timedelta(days=30):%Y-%m-%d} are deleted"
    ]
    assert tend(home.settings, None, now, {}) == []
    for model, names in (("churn", ["b.0"]), ("demand", ["c.0"])):
        found = traffic.window(model, old.at, now).answers.column("id").to_pylist()
        assert found == names
    assert counts.between("churn", old.at, now) == Asked(1)
