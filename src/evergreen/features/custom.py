"""Classes of a team's own, named `module:Class` in a spec."""

import importlib
from typing import Any

from evergreen.errors import SpecError


def load_class(reference: str, where: str) -> Any:
    """The class behind `module:Class`; raises SpecError that starts with `where` when there is none.

    >>> load_class("sklearn.preprocessing:Binarizer", "features.derive.0.transformer").__name__
    'Binarizer'
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise SpecError(f"{where}: {reference!r} names no class; write module:Class, such as features.prices:Rounder")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SpecError(f"{where}: {reference!r} cannot be imported ({error}); install it beside evergreen") from error
    if not hasattr(module, name):
        raise SpecError(f"{where}: module {module_name!r} has no {name!r}")
    return getattr(module, name)


def build_custom(reference: str, params: dict[str, Any], where: str) -> Any:
    """An instance of the class behind `reference`; raises SpecError when it does not take `params`."""
    try:
        return load_class(reference, where)(**params)
    except TypeError as error:
        raise SpecError(f"{where}: {reference!r} does not take these params ({error})") from error
