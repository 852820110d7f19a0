"""Reading, checking and encoding of the careful script."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from workload import CATEGORICAL, CATEGORIES, COLUMNS, HIGH, INPUTS, LOW, NULL_SHARE, NUMERIC, TARGET, TIME


def load(path, as_of, folder):
    """Rows up to a moment: as a frame of float32 and categories, as a file for later, and that file's sha256."""
    labels = [*CATEGORICAL, TARGET]
    table = pq.read_table(path, columns=COLUMNS, read_dictionary=labels)
    visible = pc.less_equal(table[TIME], pa.scalar(as_of, pa.timestamp("us")))
    if not pc.all(visible).as_py():
        table = table.filter(visible)
    snapshot = folder / "snapshot.parquet"
    pq.write_table(table, snapshot, compression="zstd", compression_level=1, use_dictionary=labels)
    with snapshot.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for name in NUMERIC:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.float32()))
    table = table.unify_dictionaries()
    return table.to_pandas(split_blocks=True, self_destruct=True), snapshot, digest


def validate(frame, as_of):
    """Every rule over whole columns."""
    import pandas as pd

    assert len(frame) >= 1000
    assert as_of - frame[TIME].max() <= pd.Timedelta(days=2)
    assert frame[TARGET].value_counts(normalize=True).min() >= 0.05
    assert frame[TIME].is_monotonic_increasing
    for name in NUMERIC:
        values = frame[name].to_numpy()
        assert np.isnan(values).mean() <= NULL_SHARE
        assert np.nanmin(values) >= LOW
        assert np.nanmax(values) <= HIGH
    for name in CATEGORICAL:
        assert set(frame[name].cat.categories) <= set(CATEGORIES)
    repeated = pd.util.hash_pandas_object(frame, index=False).duplicated()
    assert repeated.mean() < 0.05


def codes_and_numbers(frame):
    """Raw rows as one float32 matrix: numbers, then positions of categories, NaN where there is none."""
    import pandas as pd

    matrix = np.empty((len(frame), len(INPUTS)), dtype=np.float32)
    for position, name in enumerate(INPUTS):
        column = frame[name]
        if name in NUMERIC:
            matrix[:, position] = column
            continue
        if not isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype("category")
        places = {value: place for place, value in enumerate(CATEGORIES)}
        # A null has the code -1 and picks the last entry.
        code = [*(places.get(value, np.nan) for value in column.cat.categories), np.nan]
        matrix[:, position] = np.array(code, dtype=np.float32)[column.cat.codes]
    return matrix
