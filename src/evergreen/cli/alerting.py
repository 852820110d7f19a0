"""`evergreen alert` and `evergreen tend`: facts in, facts out."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
