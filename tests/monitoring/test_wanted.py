"""The predictions most worth a label: what nobody is sure of, what is new, and not the same one twice."""

import numpy as np
import pandas as pd

from evergreen.monitoring.wanted import Space, choose_wanted, margin_uncertainty


def frame(rows: int, seed: int = 0, at: float = 0.0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    numbers = {name: draw.normal(at, 1, rows) for name in ("waited", "spent")}
    return pd.DataFrame({**numbers, "plan": pd.Categorical(draw.choice(["basic", "pro"], rows))})


def chosen(rows: pd.DataFrame, uncertainty: np.ndarray | None, top: int = 50, seed: int = 0) -> list[int]:
    return [wish.position for wish in choose_wanted(rows, frame(500, 9), uncertainty, top, seed)]


def test_the_same_seed_wants_the_same_rows_and_none_twice():
    rows, uncertainty = frame(2000), np.full(2000, 0.5)
    first = chosen(rows, uncertainty)
    assert chosen(rows, uncertainty) == first
    assert chosen(rows, uncertainty, seed=1) != first
    assert len(set(first)) == 50


def test_uncertain_rows_are_wanted_more():
    uncertainty = np.where(np.arange(2000) % 10 == 0, 0.95, 0.02)
    found = chosen(frame(2000), uncertainty)
    assert np.mean([row % 10 == 0 for row in found]) > 0.6


def test_rows_that_the_reference_does_not_have_are_wanted_more():
    rows = pd.concat([frame(1900), frame(100, 1, at=3.5)], ignore_index=True)
    found = choose_wanted(rows, frame(500, 9), None, 50, 0)
    assert np.mean([wish.position >= 1900 for wish in found]) > 4 * 100 / 2000
    assert {wish.why for wish in found if wish.position >= 1900} == {"drifted"}


def test_rows_spread_over_clusters_of_which_one_has_nearly_all():
    sizes, middles = [1940, 30, 30], [0.0, 3.0, -3.0]
    rows = frame(2000)
    rows[["waited", "spent"]] = rows[["waited", "spent"]] * 0.2 + np.repeat(middles, sizes)[:, np.newaxis]
    found = choose_wanted(rows, rows, np.full(2000, 0.5), 20, 0)
    clusters = np.searchsorted(np.cumsum(sizes), [wish.position for wish in found[:8]], side="right")
    assert set(clusters.tolist()) == {0, 1, 2}


def test_equal_rows_are_asked_about_once_while_there_are_others():
    rows = pd.concat([frame(1)] * 300 + [frame(20, 5)], ignore_index=True)
    found = chosen(rows, np.full(320, 0.5), top=21)
    assert sum(row < 300 for row in found) == 1
    assert len(set(chosen(rows, np.full(320, 0.5), top=400))) == 320


def test_one_absurd_value_does_not_make_its_row_the_most_wanted():
    rows = frame(1000)
    rows.loc[7, "spent"] = 1e12
    rows.loc[8, "spent"] = np.nan
    space = Space.of(frame(500, 9))
    assert np.abs(space.place(rows)).max() == 4
    assert np.isfinite(space.place(rows)).all()


def test_a_label_that_the_reference_does_not_have_is_away_from_all_that_it_has():
    rows = frame(3).assign(plan=pd.Categorical(["basic", "pro", "new"]), waited=0.0, spent=0.0)
    placed = Space.of(frame(500, 9)).place(rows)
    assert np.allclose([((placed[a] - placed[b]) ** 2).sum() for a, b in ((0, 1), (0, 2), (1, 2))], 1)


def test_an_even_split_is_as_uncertain_as_it_gets():
    assert margin_uncertainty(np.array([[0.4, 0.4, 0.2], [0.1, 0.9, 0.0]])).round(6).tolist() == [1.0, 0.2]
    assert margin_uncertainty(np.ones((2, 1))).tolist() == [0.0, 0.0]
