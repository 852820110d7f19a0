"""A folder of scores: parts that are whole or not there, and a manifest that says when all of them are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evergreen.errors import IntegrityError, UnavailableError, UserError
from evergreen.files import file_digest, read_json, write_json, write_whole
from evergreen.store.lock import exclusive

MANIFEST = "manifest.json"
# What is finished so far; it goes when the manifest comes.
UNFINISHED = "unfinished.json"

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Part:
    """A finished file of the folder."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class ScoreFolder:
    """The answers to one `question`, plain values by name, in parts of `chunk_rows` rows. Building one opens nothing.

    Every method but `held` is for whoever holds it.
    """

    path: Path
    question: Mapping[str, Any]
    chunk_rows: int

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from it for the block. Raises UnavailableError where somebody scores into it now."""
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)
        with exclusive(self.path / ".lock", _PATIENCE_SECONDS):
            yield

    def finished(self) -> tuple[Part, ...] | None:
        """The parts of a complete folder; None where it is not complete.

        Raises UserError where it answers another question, IntegrityError where a part changed after it was written.
        """
        manifest = self._read(MANIFEST)
        if manifest is None:
            return None
        parts = _parts(manifest)
        for part in parts:
            if not self._is_whole(part):
                message = f"{self.path / part.name}: is not what was written (see {MANIFEST})"
                raise IntegrityError(f"{message}; remove the folder to score again")
        return parts

    def begin(self) -> tuple[Part, ...]:
        """The parts that an earlier attempt finished, in their order; the rest of what it left is removed.

        Raises UserError where the folder answers another question, or holds what no scoring left there.
        """
        unfinished = self._read(UNFINISHED)
        if unfinished is None and any(not path.name.startswith(".") for path in self.path.iterdir()):
            raise UserError(f"{self.path}: holds other files; name an empty folder, or one that does not exist yet")
        known = _parts(unfinished) if unfinished and unfinished["chunk_rows"] == self.chunk_rows else ()
        parts = tuple(_leading(known, self._is_whole))
        with self._written():
            for path in (*self.path.glob("part-*"), *self.path.glob(".part-*")):
                if path.name not in {part.name for part in parts}:
                    path.unlink()
        self.note(parts)
        return parts

    def write(self, number: int, table: Any) -> Part:
        """Write an Arrow table as the part with this number, whole."""
        import pyarrow.parquet as pq

        path = self.path / f"part-{number:05d}.parquet"
        with self._written():
            write_whole(path, lambda file: pq.write_table(table, file, compression="zstd"))
        return Part(path.name, table.num_rows, file_digest(path))

    def note(self, parts: Sequence[Part]) -> None:
        """Write down which parts are finished."""
        with self._written():
            write_json(self.path / UNFINISHED, self._described(parts))

    def complete(self, parts: Sequence[Part], **more: Any) -> None:
        """Write the manifest: from now on the folder is complete."""
        with self._written():
            write_json(self.path / MANIFEST, {**self._described(parts), **more})
            (self.path / UNFINISHED).unlink(missing_ok=True)

    def _described(self, parts: Sequence[Part]) -> dict[str, Any]:
        rows = sum(part.rows for part in parts)
        own = {"rows": rows, "chunk_rows": self.chunk_rows, "parts": [asdict(part) for part in parts]}
        return {**self.question, **own}

    def _read(self, name: str) -> dict[str, Any] | None:
        values = read_json(self.path / name)
        other = [key for key, value in self.question.items() if values is not None and values.get(key) != value]
        if values is not None and other:
            key = other[0]
            there = f"{self.path}: holds scores of another question ({key} {values.get(key)}, not {self.question[key]})"
            raise UserError(f"{there}; they are not overwritten: name another folder, or remove this one")
        return values

    def _is_whole(self, part: Part) -> bool:
        path = self.path / part.name
        return path.is_file() and file_digest(path) == part.sha256

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"{self.path}: scores cannot be written there ({error.strerror or error})"
            ) from error


def _parts(values: Mapping[str, Any]) -> tuple[Part, ...]:
    return tuple(Part(**part) for part in values["parts"])


def _leading(parts: Sequence[Part], is_whole: Any) -> Iterator[Part]:
    """Parts up to the first that is broken: rows are counted from the start."""
    for part in parts:
        if not is_whole(part):
            return
        yield part
