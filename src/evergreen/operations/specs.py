"""The specs of a folder as a process that lives long reads them: each again only when its file has changed."""

from functools import lru_cache
from pathlib import Path

from evergreen.errors import SpecError
from evergreen.settings import Settings
from evergreen.spec import load_spec
from evergreen.spec.model import ModelSpec

Specs = dict[str, ModelSpec]
"""Specs by the names of their files, without .yaml."""


def read_specs(settings: Settings) -> tuple[Specs, list[str]]:
    """Every spec that can be read, and a line on each that cannot: one broken file stops nothing else."""
    specs: Specs = {}
    problems = []
    for path in sorted(settings.configs.glob("*.yaml")):
        try:
            written = path.stat()
            specs[path.stem] = _load(path, written.st_mtime_ns, written.st_size)
        except SpecError as error:
            problems.append(f"spec: {str(error).splitlines()[0]}")
        except FileNotFoundError:
            continue
    return specs, problems


@lru_cache(maxsize=256)
def _load(path: Path, _mtime: int, _size: int) -> ModelSpec:
    return load_spec(path)
