"""Who scores, and what: the champion as the ledger knows it, and the rows whose label nobody knows yet."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.parse import text_rules
from evergreen.data.paths import is_local
from evergreen.data.snapshot import Snapshot
from evergreen.errors import IntegrityError, UserError
from evergreen.registry.handles import Champion
from evergreen.settings import Settings
from evergreen.spec import ModelSpec
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import CsvSource, DataSpec, ParquetSource, TrafficSource
from evergreen.stages.open import connect, promoted_digests, read_spec, registry_of, tracking_of
from evergreen.stages.settle import find_stranger

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("evergreen.scorer")


@dataclass(frozen=True)
class Scorer:
    """Who answers: the champion of a spec's model, as the ledger knows it.

    `inputs` are the raw columns that it reads, `source` where the rows come from; `given` is True for a file that the
    caller named, of which every row is scored.
    """

    spec: ModelSpec
    champion: Champion
    inputs: Mapping[str, ColumnType]
    data: DataSpec
    given: bool = False

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"version {self.champion.version} of {self.champion.model}"

    @property
    def kept(self) -> dict[str, ColumnType]:
        """The columns of a row that are looked at: what the champion reads, and what names the row."""
        name = self.data.id_column
        return {**self.inputs, **({} if name is None else {name: self.spec.column_types[name]})}

    def frame(self, table: Any, columns: Iterable[str]) -> "pd.DataFrame":
        """Some columns of an Arrow table as the canonical frame that the champion and the rules read."""
        from evergreen.data.frame import canonical_frame

        types = {name: self.kept[name] for name in columns}
        return canonical_frame(table.select(list(types)).to_pandas(), types, text_rules(self.data.source))


def open_scorer(name: str, data: str | None, settings: Settings) -> Scorer:
    """The champion of a spec's model, for the spec's own source or for the rows of a file.

    Raises UserError where there is no champion or no such file, IntegrityError where the champion's artifact is not
    the one that the ledger promoted: nothing of it is loaded then.
    """
    from evergreen.registry.model import load

    spec = read_spec(name, settings)
    source = spec.data if data is None else _data_of_file(spec.data, data)
    champion = find_champion(spec.model, name, settings)
    reads = load(tracking_of(settings), champion.source, champion.digest)["read"].types
    known = spec.column_types
    return Scorer(spec, champion, {c: known.get(c, kind) for c, kind in reads.items()}, source, data is not None)


def take_rows(scorer: Scorer, as_of: datetime, settings: Settings) -> Snapshot:
    """The rows to score as an immutable file: those whose label is not known as of a moment, or all rows of a file.

    Raises DataError where there are none or a column is missing, UnavailableError where the source does not answer.
    """
    from evergreen.data.load import take_snapshot

    types = dict(scorer.kept)
    if not scorer.given:
        known, data = scorer.spec.column_types, scorer.data
        types |= {name: known[name] for name in (data.target, data.time_column) if name is not None}
    snapshot = take_snapshot(scorer.data, types, as_of, settings.snapshots, unlabelled=not scorer.given)
    log.info("load        %s rows to score, snapshot %s", f"{snapshot.rows:,}", snapshot.digest[:12])
    return snapshot


def find_champion(model: str, name: str, settings: Settings) -> Champion:
    """The champion of a model, whose spec has this name, as the ledger promoted it.

    Raises UserError where there is none, IntegrityError where the ledger promoted another artifact under its number.
    """
    _, ledger = connect(settings)
    registry = registry_of(settings)
    champion = registry.champion(model)
    if champion is None:
        raise UserError(f"{model} has no champion that could score; evergreen run {name} trains one")
    if stranger := find_stranger(ledger, registry, model):
        log.warning("champion    %s", stranger)
    if champion.digest not in promoted_digests(ledger, champion):
        raise IntegrityError(
            f"version {champion.version} of {model} is champion in the registry, but the ledger promoted no artifact "
            f"{champion.digest[:12] or 'without a digest'} under that number; it is not loaded. evergreen audit {model}"
        )
    return champion


def _data_of_file(data: DataSpec, file: str) -> DataSpec:
    """A file read as the spec's own source would be, without a time to look at."""
    if is_local(file) and not Path(file).expanduser().exists():
        raise UserError(f"{file}: there is no such file to score")
    source: CsvSource | ParquetSource
    table = data.source.base if isinstance(data.source, TrafficSource) else data.source
    if Path(file).suffix.lower() in (".parquet", ".pq") or (is_local(file) and Path(file).expanduser().is_dir()):
        source = ParquetSource(kind="parquet", path=file, day_first=data.source.day_first)
    elif isinstance(table, CsvSource):
        source = table.model_copy(update={"path": file})
    else:
        source = CsvSource(kind="csv", path=file, day_first=data.source.day_first)
    return data.model_copy(update={"source": source, "time_column": None, "window": None, "label_delay": timedelta(0)})
