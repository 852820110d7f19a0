"""What a person decides: approve, reject, go back, pin."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
