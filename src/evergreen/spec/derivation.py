"""From features back to the source columns that they are made of: the one walk over derived columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evergreen.errors import SpecError
from evergreen.spec.columns import ColumnType
from evergreen.spec.features import CalendarPart, DaysSince, Derived, FeatureSpec


@dataclass(frozen=True)
class Derivation:
    """The derived columns that the features need, in order, and the source columns that those need.

    `raw` is in order of first use. The number of a step is its place in `features.derive`.
    """

    steps: tuple[tuple[int, Derived], ...]
    raw: tuple[str, ...]


def sources(item: Derived, time_column: str | None) -> tuple[str, ...]:
    """The columns that a derived column reads, in the order its transformer expects.

    Raises SpecError where days are counted until a time that nothing names.
    """
    if isinstance(item, DaysSince):
        until = item.until or time_column
        if until is None:
            raise SpecError(
                f"features.derive: {item.name!r} counts days until a time; give `until` or data.time_column"
            )
        return item.of, until
    return (item.of,) if isinstance(item.of, str) else tuple(item.of)


def derivation(features: FeatureSpec, time_column: str | None) -> Derivation:
    """What must be computed for the features; derived columns that nothing reads are left out.

    Raises SpecError where a derived column reads one that is declared after it.
    """
    needed = tuple(dict.fromkeys(features.columns))
    steps: list[tuple[int, Derived]] = []
    for index, item in reversed(tuple(enumerate(features.derive))):
        if item.name in needed:
            of = sources(item, time_column)
            replaced = [source for name in needed for source in (of if name == item.name else (name,))]
            needed = tuple(dict.fromkeys(replaced))
            steps.insert(0, (index, item))
    built_on_itself = {item.name for _, item in steps if item.name in sources(item, time_column)}
    late = {item.name for item in features.derive} - built_on_itself
    for name in needed:
        if name in late:
            raise SpecError(f"features.derive: {name!r} is read before it is declared; move it up")
    return Derivation(tuple(steps), needed)


def follows_time(
    name: str, derive: Sequence[Derived], types: Mapping[str, ColumnType], time_column: str | None
) -> bool:
    """True for a column that is made of a datetime in any way but as a part of the calendar.

    Parts of the calendar move by nature: every window has months of its own.
    """
    made = next((index for index in reversed(range(len(derive))) if derive[index].name == name), None)
    if made is None:
        return types.get(name) == "datetime"
    if isinstance(derive[made], CalendarPart):
        return False
    return any(follows_time(of, derive[:made], types, time_column) for of in sources(derive[made], time_column))
