"""How a model is served: nothing here changes a model or a verdict."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from evergreen.spec.base import Duration, Part
from evergreen.spec.rules import Share


class CaptureRules(Part):
    """What is kept of the answers that serving gives."""

    share: Share = Field(
        1.0, description="Share of rows that are captured, by their row_id, and of requests without one; 0 keeps none."
    )
    leave_out: tuple[str, ...] = Field((), description="Inputs that are never kept, and the caller's own row id.")
    durable: bool = Field(
        False,
        description="Answer only after the prediction is in the store. Of what is captured: answers outside the share "
        "are given at once, and kept nowhere.",
    )
    keep: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        timedelta(days=90), description="Predictions and labels are deleted after this long."
    )


class ExploreRules(Part):
    """Whose label is wanted whatever the answer says."""

    share: Share = Field(
        0.0,
        description="Share of rows, by their row_id, and of requests without one, that are marked `explored`, and kept "
        "in any case: the caller makes their outcome known whatever the answer says. 0 marks none.",
    )


class Serving(Part):
    """Everything about serving one model."""

    capture: CaptureRules = CaptureRules()
    explore: ExploreRules = ExploreRules()
