"""Templates of the pages, which stand beside this file."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

Filters = dict[str, Callable[..., Any]]


def open_template(name: str, filters: Filters) -> "Template":
    """A template with its filters. Every text is escaped, and a name that nobody gave is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evergreen.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
