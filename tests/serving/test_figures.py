"""Tables of benchmarks/serving/load.py: ratios are of the same case, and what failed is not hidden."""

from benchmarks.serving.figures import Case, Figures, tables

ONE, MANY = Case(1, 1), Case(1000, 1)


def measured(name, *rounds):
    found = Figures(name)
    for case, cpu, answers, bad in rounds:
        found.add(case, {"cpu_s": cpu, "answers": answers, "bad": bad, "p50_ms": 1.0, "p99_ms": 2.0})
    return found


def test_rounds_are_added_and_ratios_are_to_the_first_server_in_the_same_case():
    base = measured("theirs", (ONE, 1.0, 100, 0), (ONE, 3.0, 100, 0), (MANY, 1.0, 10, 0))
    ours = measured("ours", (ONE, 0.1, 100, 0), (ONE, 0.3, 300, 0), (MANY, 0.5, 10, 0))
    shown = tables("a model", [ONE, MANY], {"mlflow": base, "evergreen": ours})
    assert "| theirs | 20.0 | 100.0 | 0 |" in shown
    assert "| ours | 1.0 (20 x) | 50.0 (2.0 x) | 0 |" in shown
    assert shown.count("1.00, 2.00") == 4


def test_answers_that_failed_and_cases_that_were_not_measured_show():
    shown = tables("a model", [ONE, MANY], {"broken": measured("broken", (ONE, 0.1, 100, 7))})
    assert "| broken | 1.0, 7 failed | - | 0 |" in shown
