"""Grids of parameters as numbered combinations, so that drawing from a huge one never writes it out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Grid = Mapping[str, Sequence[Any]]


def size(grid: Grid) -> int:
    """How many combinations a grid has; an empty grid has one.

    >>> size({"C": [1, 10], "solver": ["lbfgs", "saga"]}), size({})
    (4, 1)
    """
    return math.prod(len(values) for values in grid.values())


def combination(grid: Grid, position: int) -> dict[str, Any]:
    """The combination at a position: the last parameter varies fastest, as the spec reads.

    >>> [combination({"a": [1, 2], "b": "xy"}, position) for position in (0, 1, 2)]
    [{'a': 1, 'b': 'x'}, {'a': 1, 'b': 'y'}, {'a': 2, 'b': 'x'}]
    """
    chosen: dict[str, Any] = {}
    for name in reversed(tuple(grid)):
        position, digit = divmod(position, len(grid[name]))
        chosen[name] = grid[name][digit]
    return dict(reversed(chosen.items()))


def quotas(sizes: Sequence[int], trials: int) -> list[int]:
    """How many of `trials` each grid gets: shares as even as the sizes allow, the earlier grids first.

    >>> quotas([1, 100, 3], 9), quotas([5, 5], 1)
    ([1, 5, 3], [1, 0])
    """
    given = [0] * len(sizes)
    left = min(trials, sum(sizes))
    while left:
        for index in range(len(sizes)):
            if left and given[index] < sizes[index]:
                given[index] += 1
                left -= 1
    return given


def draw(sizes: Sequence[int], trials: int, seed: int) -> list[tuple[int, int]]:
    """Draw (grid, position) pairs without repetition, sorted; the same seed draws the same.

    >>> draw([1, 2], 5, seed=0)
    [(0, 0), (1, 0), (1, 1)]
    """
    import numpy as np

    drawn: list[tuple[int, int]] = []
    for grid, (total, quota) in enumerate(zip(sizes, quotas(sizes, trials), strict=True)):
        positions = np.random.default_rng([seed, grid]).choice(total, size=quota, replace=False)
        drawn.extend((grid, int(position)) for position in sorted(positions))
    return drawn
