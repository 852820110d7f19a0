"""What a model depends on, as one key: the same key, the same model."""

import hashlib
import importlib.util
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import evergreen
from evergreen.data.parse import text_rules
from evergreen.files import digest_of
from evergreen.spec import ModelSpec
from evergreen.spec.features import Custom
from evergreen.spec.training import TimeSplit

# Distributions whose version can change what is learned from the same rows.
_DISTRIBUTIONS = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "duckdb",
    "joblib",
    "threadpoolctl",
)
# What of a spec's data no model is made from.
_NOT_OF_DATA = {"source", "window", "label_delay"}

_TRAINS_NOTHING = (
    "cli",
    "cluster",
    "monitoring",
    "notify",
    "operations",
    "orchestrator",
    "report",
    "scaffold",
    "serving",
    "supervisor",
)


def training_key(
    snapshot_digest: str, spec: ModelSpec, code_digest: str, environment_digest: str, start_digest: str = ""
) -> str:
    """sha256 over all that a model is made from: data, the spec as far as it trains, code and environment; and the
    artifact of the champion that it goes on from, where it does.
    """
    parts = [snapshot_digest, training_digest(spec), code_digest, environment_digest]
    return digest_of([*parts, start_digest] if start_digest else parts)


def training_digest(spec: ModelSpec) -> str:
    """sha256 over what of a spec can change a model.

    Where rows come from is left out, as the snapshot says what came; so are rules, gates, drift, promotion, and where
    the trials run. What a column may contain does not train, its type does. The label delay counts where it is the gap
    of a split; what labels it takes away, the snapshot says.
    """
    split = spec.training.split
    is_gap = isinstance(split, TimeSplit) and split.gap is None
    unused = _NOT_OF_DATA - {"label_delay"} if is_gap else _NOT_OF_DATA
    without_effect: dict[str, Any] = {"search": {"runner", "workers", "address"}}
    if spec.training.start == "scratch":
        without_effect["start"] = True
    return digest_of(
        {
            "task": spec.task,
            "data": spec.data.model_dump(mode="json", exclude=unused),
            "types": spec.column_types,
            # They travel in the pipeline, to read raw rows with.
            "texts": asdict(text_rules(spec.data.source)),
            "features": spec.features.model_dump(mode="json"),
            "training": spec.training.model_dump(mode="json", exclude=without_effect),
        }
    )


def code_digest(spec: ModelSpec | None = None) -> str:
    """sha256 over the installed package's sources and, with a spec, over the modules that it names.

    What only shows, asks, carries and serves is left out: another wording, or another machine, trains no other model.
    """
    root = Path(evergreen.__file__).parent
    names = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.py"))}
    parts = [(name, path) for name, path in names.items() if name.split("/")[0] not in _TRAINS_NOTHING]
    parts += [(name, path) for name in custom_modules(spec) if (path := _source(name)) is not None]
    return digest_of([(name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in parts])


def custom_modules(spec: ModelSpec | None) -> tuple[str, ...]:
    """The modules of a team's own that a spec names, sorted."""
    if spec is None:
        return ()
    features = [item.transformer for item in spec.features.derive if isinstance(item, Custom)]
    estimators = [candidate.estimator for candidate in spec.training.candidates if candidate.estimator]
    return tuple(sorted({reference.partition(":")[0] for reference in (*features, *estimators)}))


def environment_digest() -> str:
    """sha256 over what can change a model besides data, spec and code."""
    return digest_of(environment())


def environment() -> dict[str, str | None]:
    """Versions of Python and of the libraries that can change a model, and the machine's kind; None: not installed."""
    libraries = {name: _version(name) for name in _DISTRIBUTIONS}
    return {"python": platform.python_version(), "machine": platform.machine(), **libraries}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _source(module: str) -> Path | None:
    """The file of a module; None for one that is built in, or not there."""
    try:
        found: Any = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found is not None and found.origin and Path(found.origin).is_file() else None
