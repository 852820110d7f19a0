"""Imported by the process that others are forked from."""

from tests.warm import warm

warm()
