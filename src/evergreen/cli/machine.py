"""`evergreen up` and `evergreen down`: everything on this machine."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
