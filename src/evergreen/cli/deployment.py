"""`evergreen deploy`: bring Prefect in step with the specs."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
