"""Seeded generators of tables: pure functions of (rows, seed, options)."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from evergreen.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    Generator = Callable[[int, int, dict[str, Any]], pd.DataFrame | Iterator[pd.DataFrame]]

GENERATORS = ("churn", "classification", "houses", "wide")


def find_generator(name: str) -> "Generator":
    """A generator of ours by its name, or a team's own by `module:function`.

    It takes the number of rows, a seed and options, and returns a frame or yields it in parts. Raises DataError
    with the choices when there is none of that name.
    """
    if name in GENERATORS:
        found: Generator = import_module(f"{__name__}.{name}").generate
        return found
    if ":" not in name:
        raise DataError(f"unknown generator {name!r}; choose one of {', '.join(GENERATORS)}, or give module:function")
    module, _, function = name.partition(":")
    try:
        own = getattr(import_module(module), function)
    # Importing runs the user's own code, which may raise anything.
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"generator {name!r} cannot be imported ({said}); give module:function") from error
    if not callable(own):
        raise DataError(f"generator {name!r} is no function")
    return own
