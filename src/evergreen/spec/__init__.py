"""The spec of a model: what a data scientist writes, validated on load."""

from evergreen.spec.load import find_spec, json_schema, load_spec
from evergreen.spec.model import ModelSpec

__all__ = ["ModelSpec", "find_spec", "json_schema", "load_spec"]
