"""Evergreen keeps tabular models fresh: the library, true without an orchestrator."""

__version__ = "0.1.0"
