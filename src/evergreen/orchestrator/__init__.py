"""Prefect as seen over its HTTP API, and what is deployed to it: the library is true without its package."""
