"""Which types a saved model may bring to life."""

from collections.abc import Iterable
from importlib import import_module

# The last two are how histogram trees check their codes; skops names what a partial calls beside it.
_EXACT = frozenset(
    ("numpy.dtype", "sklearn.tree._tree.Tree", "functools.partial", "sklearn.utils.validation.check_array")
)
# Modules that define the fitted parts of estimators, and nothing that reaches outside the process.
_MODULES = (
    "evergreen.features.",
    "sklearn._loss.",
    "sklearn.calibration",
    "sklearn.ensemble._hist_gradient_boosting.",
    "sklearn.metrics._dist_metrics",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._kd_tree",
    "sklearn.neural_network._stochastic_optimizers",
)


def is_trusted(name: str) -> bool:
    """True for types that are known by name, and for classes that one of the trusted modules defines itself.

    >>> is_trusted("numpy.dtype"), is_trusted("sklearn.neighbors._kd_tree.KDTree")
    (True, True)
    >>> is_trusted("numpy.load"), is_trusted("os.system"), is_trusted("evergreen.features.os.system")
    (False, False, False)
    """
    return name in _EXACT or (name.startswith(_MODULES) and _is_class_of_its_module(name))


def untrusted(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are not trusted, sorted."""
    return tuple(sorted(name for name in names if not is_trusted(name)))


def _is_class_of_its_module(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module
