"""Write canonical batches as one Parquet file whose bytes depend on the rows alone, and name it by its digest."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evergreen.data.faults import within
from evergreen.data.paths import changed_at, filesystem_of, is_local
from evergreen.data.snapshot import Fault
from evergreen.data.table import string_schema
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.files import open_digest
from evergreen.spec.columns import ColumnType

ROW_GROUP = 131_072

# What is younger is pruned by nobody, and so need not be made young again.
_YOUNG = timedelta(hours=1)


class SnapshotWriter:
    """Gathers batches into row groups of a fixed size, so that a source's own chunks leave no trace."""

    def __init__(self, path: Path, types: Mapping[str, ColumnType]) -> None:
        import pyarrow.parquet as pq

        self._types = dict(types)
        self._waiting: list[Any] = []
        self._rows_waiting = 0
        repeating = [name for name, kind in types.items() if kind in ("category", "text", "boolean")]
        self._file = pq.ParquetWriter(
            path, self._schema(), compression="zstd", compression_level=1, use_dictionary=repeating
        )

    def write(self, batch: Any) -> None:
        """Take a batch; full row groups are written at once."""
        while batch.num_rows:
            part = batch.slice(0, ROW_GROUP - self._rows_waiting)
            batch = batch.slice(part.num_rows)
            self._waiting.append(part)
            self._rows_waiting += part.num_rows
            if self._rows_waiting == ROW_GROUP:
                self._flush()

    def describe(self, metadata: Mapping[str, str]) -> None:
        """Say what the file holds."""
        self._file.add_key_value_metadata(dict(metadata))

    def __enter__(self) -> "SnapshotWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what is left; after an error only close the file, which nobody will read."""
        try:
            if kind is None and self._waiting:
                self._flush()
        finally:
            self._file.close()

    def _schema(self) -> Any:
        import pyarrow as pa

        plain = string_schema(self._types)
        codes = pa.dictionary(pa.int32(), pa.string())
        return pa.schema([f.with_type(codes) if self._types[f.name] == "category" else f for f in plain])

    def _flush(self) -> None:
        import pyarrow as pa

        gathered = pa.Table.from_batches(self._waiting).combine_chunks()
        schema = self._schema()
        # Encoded here and not batch by batch: the order of the categories would tell how the source was cut.
        columns = [
            _one_chunk(gathered.column(f.name).dictionary_encode() if pa.types.is_dictionary(f.type) else gathered[i])
            for i, f in enumerate(schema)
        ]
        self._file.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)
        self._waiting, self._rows_waiting = [], 0


def _one_chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def describe(
    types: Mapping[str, ColumnType], target: str, time_column: str | None, faults: tuple[Fault, ...]
) -> dict[str, str]:
    """What the file says about itself. The moment, and all of the source that is not in the file, are left out:
    the same rows are the same snapshot.
    """
    return {
        "evergreen.types": json.dumps(dict(types)),
        "evergreen.target": target,
        "evergreen.time_column": time_column or "",
        "evergreen.faults": json.dumps(within(faults), ensure_ascii=True),
    }


@contextlib.contextmanager
def unfinished_file(root: str) -> Iterator[Path]:
    """A new file beside the snapshots, gone afterwards unless it was moved away."""
    local = is_local(root)
    try:
        if local:
            Path(root).mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix=".parquet", dir=root if local else None)
    except OSError as error:
        raise UnavailableError(f"{root}: snapshots cannot be written there ({error.strerror or error})") from error
    os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def publish(path: Path, root: str) -> tuple[str, str]:
    """Move a finished file to `<root>/<digest>.parquet` and return that path and the digest.

    A file that is there already holds the same bytes. It is as young as a new one from then on: by its age others tell
    whether somebody may be reading it.
    """
    digest = _digest(str(path))
    if not is_local(root):
        return _upload(path, f"{root.rstrip('/')}/{digest}.parquet"), digest
    final = Path(root) / f"{digest}.parquet"
    # Only a power failure leaves a shorter file under a final name.
    if not (_has_size(final, path.stat().st_size) and _touch(final)):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        path.chmod(0o644)
        os.replace(path, final)
    return str(final), digest


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _touch(path: Path) -> bool:
    """False where the file is gone, or is another user's."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _upload(path: Path, final: str) -> str:
    filesystem, name = filesystem_of(final)
    written = path.stat()
    try:
        known = filesystem.info(name) if filesystem.exists(name) else {}
        came, now = changed_at(known), datetime.fromtimestamp(written.st_mtime, UTC)
        # Storage has no other way to make a file young again than to write it again.
        if known.get("size") != written.st_size or came is None or came < now - _YOUNG:
            filesystem.makedirs(name.rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(path), name)
    except OSError as error:
        raise UnavailableError(f"{final}: the snapshot cannot be written there ({error})") from error
    return final


def _digest(path: str) -> str:
    """sha256 of the file at a path of any file system."""
    filesystem, name = filesystem_of(path)
    with filesystem.open(name, "rb") as file:
        return open_digest(file)


def verify_digest(path: str, digest: str) -> None:
    """Raise IntegrityError unless the file's bytes have this sha256."""
    try:
        found = _digest(path)
    except FileNotFoundError:
        raise IntegrityError(f"{path}: the snapshot is gone; run the model again to take a new one") from None
    if found != digest:
        raise IntegrityError(
            f"{path}: the file changed after it was written (sha256 {found[:12]}…, expected {digest[:12]}…); "
            "delete it and run the model again"
        )
