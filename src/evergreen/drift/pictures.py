"""A column of both samples in a form that can be drawn, whatever became of it."""

import numpy as np
import pandas as pd

from evergreen.drift.values import read_numbers

# A bar chart shows no more; further labels are added up, for the picture only.
LABELS = 30
OTHER = "(other)"
_FEW = 2


def picture(name: str, reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The column of the reference and of the current sample, both float64 or both text, each with some value.

    Numbers are drawn without infinities. Flags and everything else are bars. A side that is missing, all null or
    no number any more is drawn as bars that say so.
    """
    old, new = _only(reference, name), _only(current, name)
    if old is not None and new is not None:
        numbers = _as_numbers(old, new)
        if numbers is not None:
            return numbers
        if old.notna().any() and new.notna().any() and not _changed_kind(old, new):
            return _as_labels(old, new)
    return _what_is_left(old, len(reference)), _what_is_left(new, len(current))


def _only(frame: pd.DataFrame, name: str) -> pd.Series | None:
    return frame[name] if (frame.columns == name).sum() == 1 else None


def _as_numbers(old: pd.Series, new: pd.Series) -> tuple[pd.Series, pd.Series] | None:
    """Both as finite numbers; None where one side has none, or where both have too few for a histogram."""
    if not _is_number(old) or not _is_number(new):
        return None
    sides = [pd.Series(np.where(np.isfinite(v := read_numbers(s)), v, np.nan)) for s in (old, new)]
    if not all(side.notna().any() for side in sides) or pd.concat(sides).nunique() <= _FEW:
        return None
    return sides[0], sides[1]


def _as_labels(old: pd.Series, new: pd.Series) -> tuple[pd.Series, pd.Series]:
    texts = [_as_text(side) for side in (old, new)]
    kept = pd.concat(texts).value_counts().index[:LABELS]
    before, now = (text.where(text.isna() | text.isin(kept), OTHER) for text in texts)
    return before, now


def _as_text(column: pd.Series) -> pd.Series:
    """Every value as text, the same text for the same number in any dtype; null as None."""
    if _is_number(column):
        texts = [None if np.isnan(v) else f"{v:g}" for v in read_numbers(column)]
    else:
        texts = [None if null else str(v) for v, null in zip(column.tolist(), column.isna(), strict=True)]
    return pd.Series(texts, dtype=object)


def _what_is_left(column: pd.Series | None, rows: int) -> pd.Series:
    if column is None:
        return pd.Series(["(missing)"] * max(rows, 1), dtype=object)
    return column.isna().map({True: "(null)", False: f"({column.dtype} value)"}).astype(object)


def _changed_kind(old: pd.Series, new: pd.Series) -> bool:
    return _is_number(old) != _is_number(new)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)
