"""`evergreen doctor`: what is wrong, and what to do."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
