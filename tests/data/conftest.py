from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evergreen.data.load import take_snapshot
from evergreen.data.snapshot import Snapshot
from evergreen.spec.data import DataSpec

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Snapshot]:
    """Take a snapshot of a source into a folder of its own."""

    def taken(source: Mapping[str, Any], types: Mapping[str, Any], as_of: datetime = NOW, **data: Any) -> Snapshot:
        spec = DataSpec.model_validate({"source": source, "target": "y", **data})
        return take_snapshot(spec, types, as_of, str(tmp_path / "snapshots"))

    return taken


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file and return its path."""

    def written(content: str | bytes, name: str = "table.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written
