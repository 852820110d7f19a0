"""Options of a generator: closed, with defaults, like a spec."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from evergreen.errors import DataError


class Options(BaseModel):
    """Base of every generator's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnyOptions = TypeVar("AnyOptions", bound=Options)


def read_options(kind: type[AnyOptions], given: Mapping[str, Any], generator: str) -> AnyOptions:
    """The options of a generator. Raises DataError that names the wrong one and lists those there are."""
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"])) or "options"
        what = "unknown option" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        there_are = ", ".join(f"{n}={f.default}" for n, f in kind.model_fields.items()) or "none"
        raise DataError(f"generator {generator}: {name}: {what}; options and defaults: {there_are}") from None


def _to_naive_utc(value: Any) -> Any:
    """ISO text, a date or a datetime as naive UTC.

    >>> _to_naive_utc("2025-01-01T02:00:00+02:00")
    datetime.datetime(2025, 1, 1, 0, 0)
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - columns hold naive UTC
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value


Moment = Annotated[datetime, BeforeValidator(_to_naive_utc)]
