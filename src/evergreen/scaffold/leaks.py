"""Columns that know the target: by evidence alone, never by name."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

# A single honest column hardly ever gets this far: area under the ROC curve, balanced accuracy, or R².
RANKED = 0.98
SORTED = 0.95
SORTED_MANY = 0.97
EXPLAINED = 0.98
_SAMPLE = 10_000
_ROWS_FOR_SUMS = 2000
_MOST_FOR_TRIPLES = 25
_EXACT_SHARE = 0.99
_TOO_FEW = 50


def find_leaks(frame: pd.DataFrame, target: str, task: str, columns: Sequence[str]) -> dict[str, str]:
    """Columns that give the target away, each with the evidence in words."""
    known = frame[frame[target].notna()]
    if len(known) < _TOO_FEW:
        return {}
    known = known.sample(min(len(known), _SAMPLE), random_state=0)
    parts = _parts(known, target, [c for c in columns if _is_number(known[c])]) if task == "regression" else {}
    rest = [name for name in columns if name not in parts]
    return parts | _predictors(known, target, task, rest)


def _parts(frame: pd.DataFrame, target: str, columns: Sequence[str]) -> dict[str, str]:
    """Columns from which the target can be computed exactly."""
    complete = frame[[*columns, target]].head(_ROWS_FOR_SUMS)
    y = complete[target].to_numpy()
    if y.std() == 0:
        return {}
    values = {c: complete[c].to_numpy() for c in columns if np.nanstd(complete[c].to_numpy()) > 0}
    found: dict[str, str] = {}
    for names, words in _formulas(values, y):
        for name in names:
            found.setdefault(name, f"{words} = {target} in every row")
    return found


def _formulas(values: Mapping[str, np.ndarray], y: np.ndarray) -> Iterator[tuple[tuple[str, ...], str]]:
    for a, b in combinations(values, 2):
        u, v = values[a], values[b]
        results = {f"{a} + {b}": u + v, f"{a} - {b}": u - v, f"{b} - {a}": v - u, f"{a} × {b}": u * v}
        yield from (((a, b), words) for words, result in results.items() if _equal(result, y))
    if len(values) <= _MOST_FOR_TRIPLES:
        for names in combinations(values, 3):
            if _equal(np.sum([values[n] for n in names], axis=0), y):
                yield names, " + ".join(names)


def _equal(result: np.ndarray, y: np.ndarray) -> bool:
    # Most combinations differ in the first rows already.
    if not np.isclose(result[:20], y[:20], rtol=1e-6).any():
        return False
    return bool(np.isclose(result, y, rtol=1e-6).mean() >= _EXACT_SHARE)


def _predictors(frame: pd.DataFrame, target: str, task: str, columns: Sequence[str]) -> dict[str, str]:
    judge = _classifies if task == "classification" else _explains
    found = {name: judge(_as_matrix(frame[name]), frame[target]) for name in columns}
    return {name: f"it alone predicts {target} nearly perfectly ({words})" for name, words in found.items() if words}


def _classifies(X: np.ndarray, target: pd.Series) -> str | None:
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    y = target.astype("category").cat.remove_unused_categories().cat.codes.to_numpy()
    if np.bincount(y).min() < 3:
        return None
    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=5, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    chances = cross_val_predict(tree, X, y, cv=folds, method="predict_proba")
    accuracy = balanced_accuracy_score(y, chances.argmax(axis=1))
    if chances.shape[1] > 2:
        return f"balanced accuracy {accuracy:.3f}" if accuracy >= SORTED_MANY else None
    area = roc_auc_score(y, chances[:, 1])
    return f"ROC AUC {area:.3f}" if area >= RANKED and accuracy >= SORTED else None


def _explains(X: np.ndarray, target: pd.Series) -> str | None:
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeRegressor

    y = target.to_numpy(dtype=float)
    tree = DecisionTreeRegressor(max_depth=6, min_samples_leaf=5, random_state=0)
    explained = r2_score(y, cross_val_predict(tree, X, y, cv=KFold(3, shuffle=True, random_state=0)))
    return f"R² {explained:.3f}" if explained >= EXPLAINED else None


def _as_matrix(values: pd.Series) -> Any:
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy().astype(float)
        return np.where(codes < 0, np.nan, codes)[:, None]
    if values.dtype.kind == "M":
        days = values.to_numpy().astype("datetime64[s]").astype(float)
        return np.where(values.isna(), np.nan, days)[:, None]
    return values.to_numpy(dtype=float)[:, None]


def _is_number(values: pd.Series) -> bool:
    return values.dtype == np.float64
