"""What both scripts measure and draw in the same way, with the plain tools of scikit-learn and matplotlib."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics
from workload import IMPORTANCE_ROWS, METRIC, SEED


def score(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Metrics of a binary classifier; `y` is 0 or 1."""
    said = (probability >= 0.5).astype(int)
    return {
        "accuracy": metrics.accuracy_score(y, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, said),
        "precision": metrics.precision_score(y, said, zero_division=0),
        "recall": metrics.recall_score(y, said),
        "f1": metrics.f1_score(y, said),
        "f1_weighted": metrics.f1_score(y, said, average="weighted"),
        "mcc": metrics.matthews_corrcoef(y, said),
        "roc_auc": metrics.roc_auc_score(y, probability),
        "pr_auc": metrics.average_precision_score(y, probability),
        "log_loss": metrics.log_loss(y, probability),
        "brier": metrics.brier_score_loss(y, probability),
    }


def latency_p95_ms(model: Any, frame: pd.DataFrame) -> float:
    """Single rows, one by one."""
    seconds = []
    for position in np.linspace(0, len(frame) - 1, 110).astype(int):
        row = frame.iloc[[position]]
        start = time.perf_counter()
        model.predict(row)
        seconds.append(time.perf_counter() - start)
    return float(np.percentile(seconds[10:], 95) * 1000)


def draw(y: np.ndarray, answers: dict[str, np.ndarray], differences: np.ndarray, folder: Path) -> None:
    """ROC, precision and recall, calibration and confusion of every model, and the interval of their difference."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.calibration import CalibrationDisplay

    folder.mkdir(parents=True, exist_ok=True)
    curves = {
        "roc": metrics.RocCurveDisplay.from_predictions,
        "precision_recall": metrics.PrecisionRecallDisplay.from_predictions,
        "calibration": CalibrationDisplay.from_predictions,
    }
    for kind, display in curves.items():
        figure, axes = plt.subplots()
        for name, probability in answers.items():
            display(y, probability, name=name, ax=axes)
        _save(figure, folder / f"{kind}.png")
    figure, axes = plt.subplots(1, len(answers), squeeze=False)
    for place, probability in zip(axes[0], answers.values(), strict=True):
        metrics.ConfusionMatrixDisplay.from_predictions(y, (probability >= 0.5).astype(int), ax=place, colorbar=False)
    _save(figure, folder / "confusion.png")
    if len(differences):
        figure, axes = plt.subplots()
        axes.hist(differences, bins=40)
        axes.axvline(np.quantile(differences, 0.05))
        _save(figure, folder / "comparison.png")


def draw_importance(model: Any, frame: pd.DataFrame, y: np.ndarray, folder: Path) -> None:
    """Permutation importance on a sample of the holdout."""
    import matplotlib.pyplot as plt
    from sklearn.inspection import permutation_importance

    rows = np.random.default_rng(SEED).choice(len(y), min(IMPORTANCE_ROWS, len(y)), replace=False)
    found = permutation_importance(
        model, frame.iloc[rows], y[rows], scoring=METRIC, n_repeats=3, random_state=SEED, n_jobs=1
    )
    order = np.argsort(found.importances_mean)[-15:]
    figure, axes = plt.subplots()
    axes.barh(frame.columns[order], found.importances_mean[order], xerr=found.importances_std[order])
    _save(figure, folder / "importance.png")


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=144)
    plt.close(figure)
