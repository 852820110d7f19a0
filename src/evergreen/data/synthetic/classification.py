"""Two classes in twenty numeric columns, from scikit-learn's `make_classification`."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from evergreen.data.synthetic.options import Options, read_options

if TYPE_CHECKING:
    import pandas as pd


class ClassificationOptions(Options):
    """As in `sklearn.datasets.make_classification`."""

    n_features: int = Field(20, ge=1)
    n_informative: int = Field(2, ge=1)
    n_redundant: int = Field(2, ge=0)
    class_sep: float = Field(1.0, gt=0)
    flip_y: float = Field(0.01, ge=0, le=1)


def generate(rows: int, seed: int, options: dict[str, Any]) -> "pd.DataFrame":
    """Columns f0, f1, … and `target` (0 or 1)."""
    import pandas as pd
    from sklearn.datasets import make_classification

    chosen = read_options(ClassificationOptions, options, "classification")
    X, y = make_classification(n_samples=rows, random_state=seed, **chosen.model_dump())
    return pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])]).assign(target=y)
