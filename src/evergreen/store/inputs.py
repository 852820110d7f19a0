"""The inputs of a row that was answered, as JSON has them: most are only ever written, and that column by column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from evergreen.store.fields import Kind, as_json

_FORM, _ROW = attrgetter("form"), attrgetter("row")


@dataclass(frozen=True, eq=False)
class InputForm:
    """The fields of a version's rows: their names, and of which kind the canonical values are."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]

    def by_name(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, Sequence[Any]]:
        """Canonical rows as a list of values a field.

        >>> InputForm(("n", "x"), ("integer", "number")).by_name([(3.0, float("nan")), (4.0, 0.5)])
        {'n': [3, 4], 'x': [None, 0.5]}
        """
        columns = zip(self.names, self.kinds, zip(*rows, strict=True), strict=True)
        return {name: as_json(kind, values) for name, kind, values in columns}


class Inputs(Mapping[str, Any]):
    """A canonical row by name; a dictionary is made of it once somebody looks.

    >>> Inputs(InputForm(("plan", "x"), ("text", "number")), ("pro", float("nan")))
    {'plan': 'pro', 'x': None}
    """

    __slots__ = ("_named", "form", "row")

    def __init__(self, form: InputForm, row: tuple[Any, ...]) -> None:
        self.form, self.row = form, row
        self._named: dict[str, Any] | None = None

    @property
    def named(self) -> dict[str, Any]:
        """The values by name."""
        if self._named is None:
            self._named = {name: values[0] for name, values in self.form.by_name([self.row]).items()}
        return self._named

    def __getitem__(self, name: str) -> Any:
        return self.named[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.form.names)

    def __len__(self) -> int:
        return len(self.form.names)

    def __repr__(self) -> str:
        return repr(self.named)


def by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """Values by name; a row that lacks a name has null there.

    >>> by_name([{"a": 1, "b": 2}, {"a": 3}])
    {'a': [1, 3], 'b': [2, None]}
    """
    names = list(rows[0])
    if set(map(type, rows)) == {Inputs} and len(forms := set(map(_FORM, rows))) == 1:
        return forms.pop().by_name(list(map(_ROW, rows)))
    if set(map(len, rows)) == {len(names)}:
        try:
            return {name: list(map(itemgetter(name), rows)) for name in names}
        except KeyError:
            pass
    every = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in every}
