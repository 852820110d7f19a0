"""Drift against a stored profile, and a report of samples for people."""

import numpy as np
import pandas as pd
from scipy import stats
from workload import REPORT_ROWS, SEED

BINS = 1_000
LEVEL, LEAST_EFFECT = 0.05, 0.1


def profile_of(frame):
    """By column: quantile edges with counts, or labels with counts."""
    return {name: _profile(frame[name]) for name in frame.columns}


def compare(profile, current):
    """Two-sample tests of every column, adjusted together (Benjamini-Hochberg), with effects."""
    found = {name: _test(profile[name], current[name]) for name in profile}
    adjusted = stats.false_discovery_control([p for p, _ in found.values()])
    return {
        name: {"p": float(p), "effect": float(effect), "drifted": bool(p < LEVEL and effect >= LEAST_EFFECT)}
        for (name, (_, effect)), p in zip(found.items(), adjusted, strict=True)
    }


def report(reference, current, path):
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    before, after = (_sample(frame[reference.columns]) for frame in (reference, current))
    numbers = [name for name in reference.columns if pd.api.types.is_numeric_dtype(reference[name].dtype)]
    labels = [name for name in reference.columns if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=labels)
    sides = [
        Dataset.from_pandas(side.astype(dict.fromkeys(labels, "str")), data_definition=definition)
        for side in (after, before)
    ]
    Report([DataDriftPreset()]).run(*sides).save_html(str(path))


def _profile(column):
    if not pd.api.types.is_numeric_dtype(column.dtype):
        counts = column.value_counts()
        return {"labels": {str(k): int(v) for k, v in counts.items()}}
    values = column.dropna().to_numpy(np.float64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _test(stored, column):
    if "labels" in stored:
        now = column.value_counts()
        names = sorted(set(stored["labels"]) | {str(k) for k in now.index})
        counts = np.array([[stored["labels"].get(n, 0) for n in names], [int(now.get(n, 0)) for n in names]])
        counts = counts[:, counts.sum(axis=0) > 0]
        shares = counts / counts.sum(axis=1, keepdims=True)
        return stats.chi2_contingency(counts).pvalue, np.abs(shares[0] - shares[1]).sum() / 2
    values = column.dropna().to_numpy(np.float64)
    edges, before = np.array(stored["edges"]), np.array(stored["counts"])
    after = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    n, m = before.sum(), after.sum()
    distance = np.abs(before.cumsum() / n - after.cumsum() / m).max()
    return stats.kstwobign.sf(distance * np.sqrt(n * m / (n + m))), distance


def _sample(frame):
    rows = np.random.default_rng(SEED).choice(len(frame), min(REPORT_ROWS, len(frame)), replace=False)
    return frame.iloc[np.sort(rows)].reset_index(drop=True)
