"""What a model's requests must say, column by column: the rules that its training rows were held to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evergreen.serving.handles import Column
from evergreen.spec.columns import ColumnRules, ColumnType
from evergreen.spec.model import ModelSpec

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def columns_of(spec: ModelSpec, pipeline: "Pipeline") -> tuple[Column, ...]:
    """The raw inputs that a fitted pipeline reads, with the rules of the spec that it was trained with.

    A null is refused where training allowed none: where `max_null_share` is 0, and in the time column, without which
    a row is in no window. Everywhere else training reads nulls as well.
    """
    read = pipeline["read"]
    for_texts = tuple(dict.fromkeys(("", *(text.strip() for text in read.null_values))))
    return tuple(_columns(spec, dict(read.types), for_texts, bool(read.day_first)))


def _columns(
    spec: ModelSpec, types: dict[str, ColumnType], nulls: tuple[str, ...], day_first: bool
) -> Iterator[Column]:
    for name, kind in types.items():
        rules = spec.table.columns.get(name) or ColumnRules(type=kind)
        yield Column(
            name,
            kind,
            nullable=rules.max_null_share != 0 and name != spec.data.time_column,
            min=rules.min,
            max=rules.max,
            allowed=rules.allowed,
            strict=rules.unseen == "fail",
            nulls=nulls,
            day_first=day_first,
        )
