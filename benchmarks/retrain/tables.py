"""Write the table and the spec: what the contestants read. Run once a size, before anything is measured."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from workload import COLUMNS, MODEL, Place, spec

SEED = 5


def write(rows: int, place: Place) -> None:
    """`wide.parquet`, `wide.csv` and `configs/wide.yaml`; what is there already stays."""
    from evergreen.data.synthetic.wide import generate

    place.configs.mkdir(parents=True, exist_ok=True)
    (place.configs / f"{MODEL}.yaml").write_text(spec(place))
    if place.csv.exists():
        return
    parts = generate(rows, SEED, {})
    table = pa.concat_tables(pa.Table.from_pandas(_plain(part), preserve_index=False) for part in parts)
    pq.write_table(table, place.parquet, row_group_size=131_072)
    unfinished = Path(f"{place.csv}.part")
    pyarrow.csv.write_csv(table, unfinished)
    unfinished.rename(place.csv)


def _plain(part: pd.DataFrame) -> pd.DataFrame:
    labels = part.select_dtypes("category").columns
    return part[COLUMNS].astype(dict.fromkeys(labels, "str"))
