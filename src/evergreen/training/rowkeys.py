"""Numbers that name rows by their content, so that a row is recognised in a table that has grown or was reordered."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from evergreen.data.parse import EXACT

Keys = npt.NDArray[np.uint64]
# Odd constants of the splitmix64 generator (Steele, Lea and Flood, 2014).
_GOLDEN, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


def content_keys(snapshot_path: str) -> Keys:
    """One key a row, from all columns of a snapshot, read one at a time.

    Equal rows have equal keys, whatever the order of rows, columns or categories.
    """
    from evergreen.data.frame import read_snapshot, snapshot_types

    names = sorted(snapshot_types(snapshot_path))
    keys = hashed(read_snapshot(snapshot_path, names[:1])[names[0]])
    for name in names[1:]:
        keys = mixed(keys + hashed(read_snapshot(snapshot_path, [name])[name]))
    return keys


def named_keys(snapshot_path: str, column: str) -> Keys:
    """One key a row, from a column that names rows or groups; a row without a name stands for itself."""
    from evergreen.data.frame import read_snapshot

    names = read_snapshot(snapshot_path, [column])[column]
    unnamed = names.isna().to_numpy()
    keys = hashed(names)
    return np.where(unnamed, content_keys(snapshot_path), keys) if unnamed.any() else keys


def hashed(values: pd.Series) -> Keys:
    """One key a value; equal values have equal keys, and nulls have one of their own.

    The key of an integer does not depend on the column that it stands in: beyond 2**53 it is that of its digits.
    """
    if values.dtype != "Int64":
        return mixed(_hashes(values))
    near = values.astype("float64")
    beyond = (near.abs() >= EXACT).to_numpy()
    return mixed(np.where(beyond, ~_hashes(values.fillna(0).astype("int64")), _hashes(near)))


def _hashes(values: pd.Series) -> Keys:
    from pandas.util import hash_pandas_object

    return np.asarray(hash_pandas_object(values, index=False), dtype=np.uint64)


def shuffled(keys: Keys, seed: int) -> Keys:
    """Keys in an order that depends on the seed alone; different keys stay different.

    >>> len(set(shuffled(np.arange(5, dtype=np.uint64), 1)) | set(shuffled(np.arange(5, dtype=np.uint64), 2)))
    10
    """
    with np.errstate(over="ignore"):
        return mixed(keys ^ mixed(np.full(1, np.uint64(seed & (2**64 - 1)))))


def mixed(keys: Keys) -> Keys:
    """The splitmix64 finalizer: a bijection that spreads near keys over the whole range."""
    with np.errstate(over="ignore"):
        keys = keys + _GOLDEN
        keys = (keys ^ (keys >> np.uint64(30))) * _FIRST
        keys = (keys ^ (keys >> np.uint64(27))) * _SECOND
        return keys ^ (keys >> np.uint64(31))
