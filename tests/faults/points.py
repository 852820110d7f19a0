"""The points at which a run is killed: before and after each step that leaves something behind.

Each names a function or method that the run calls, and how often it is called before the blow falls.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """`when` is before or after the `nth` call of `target`, a `module:attribute.attribute`; or `full`, where the call
    finds no space on the disk.
    """

    target: str
    when: str
    nth: int = 1

    def __str__(self) -> str:
        name = self.target.partition(":")[2]
        when = "no space in" if self.when == "full" else self.when
        return f"{when} {name}" + (f" #{self.nth}" if self.nth > 1 else "")


def _around(target: str, nth: int = 1) -> list[Point]:
    return [Point(target, "before", nth), Point(target, "after", nth)]


LEDGER = "evergreen.store.ledger:Ledger"
PINS = "evergreen.store.pins:Pins"
TRACKING = "evergreen.registry.tracking:Tracking"
MLFLOW = "mlflow.tracking.client:MlflowClient"

# What a promotion does, step by step: what is intended, the version, its aliases, the decision, its effect.
PROTOCOL = [
    *_around(f"{LEDGER}.intend"),
    *_around(f"{MLFLOW}.create_model_version"),
    *_around(f"{MLFLOW}.set_registered_model_alias", 1),  # challenger
    *_around("evergreen.stages.promote:smoke_test"),
    *_around(f"{LEDGER}.record"),
    *_around(f"{MLFLOW}.set_registered_model_alias", 2),  # previous
    *_around(f"{MLFLOW}.set_registered_model_alias", 3),  # champion
    *_around(f"{MLFLOW}.delete_registered_model_alias"),
    *_around(f"{LEDGER}.crown"),
]

# Everywhere else in the flow.
FLOW = [
    Point("evergreen.stages.open:settle", "after"),
    *_around("evergreen.data.load:publish"),
    *_around("evergreen.stages.track:Tracking.start_run"),
    Point(f"{TRACKING}.log_dataset", "after"),
    *_around("evergreen.stages.train:split_rows"),
    *_around("evergreen.stages.train:encode_folds"),
    *_around("evergreen.stages.train:cross_validate", 1),
    *_around("evergreen.stages.train:cross_validate", 2),
    *_around("evergreen.stages.train:fit"),
    *_around("evergreen.stages.train:log_trials"),
    *_around(f"{MLFLOW}.create_logged_model"),
    *_around(f"{MLFLOW}.log_model_artifacts"),
    *_around(f"{MLFLOW}.finalize_logged_model"),
    Point("evergreen.stages.evaluate:evaluate", "after"),
    *_around("evergreen.stages.evaluate:log_reference"),
    Point("evergreen.stages.evaluate:judge", "after"),
    *_around(f"{TRACKING}.finish"),
    Point("evergreen.report.page:write", "before"),
    Point("evergreen.report.page:write", "after"),
]

# What people ask for, and what time does, step by step; by command.
PEOPLE = {
    "approve": [
        Point("evergreen.stages.answer:settle", "after"),
        *_around("evergreen.stages.answer:smoke_test"),
        *_around(f"{LEDGER}.record"),
        *_around(f"{MLFLOW}.set_registered_model_alias", 1),  # previous
        *_around(f"{MLFLOW}.set_registered_model_alias", 2),  # champion
        *_around(f"{MLFLOW}.delete_registered_model_alias"),
        *_around(f"{LEDGER}.crown"),
    ],
    "approve what is not registered": [
        *_around(f"{MLFLOW}.create_model_version"),
        *_around(f"{MLFLOW}.set_registered_model_alias", 1),  # challenger
        Point("evergreen.stages.answer:register_held", "after"),
        Point(f"{LEDGER}.record", "after"),
    ],
    "reject": [*_around(f"{LEDGER}.record"), *_around(f"{MLFLOW}.delete_registered_model_alias")],
    "expire": [*_around(f"{LEDGER}.record"), *_around(f"{MLFLOW}.delete_registered_model_alias")],
    "roll back": [
        Point("evergreen.stages.rollback:settle", "after"),
        *_around("evergreen.stages.rollback:smoke_test"),
        *_around(f"{LEDGER}.record"),
        *_around(f"{MLFLOW}.set_registered_model_alias", 1),  # previous
        *_around(f"{MLFLOW}.set_registered_model_alias", 2),  # champion
        *_around(f"{LEDGER}.crown"),
    ],
    "roll back and pin": [
        *_around(f"{PINS}.pin"),
        *_around(f"{LEDGER}.record"),
        *_around(f"{MLFLOW}.set_registered_model_alias", 2),  # champion
        *_around(f"{LEDGER}.crown"),
    ],
    "pin": [*_around(f"{PINS}.pin"), Point("evergreen.registry.versions:Registry.turn", "before")],
    "adopt a moved alias": [
        *_around("evergreen.stages.moved_answer:smoke_test"),
        *_around(f"{LEDGER}.record"),
        *_around(f"{LEDGER}.crown"),
    ],
    "put a moved alias back": [
        *_around(f"{LEDGER}.record"),
        *_around(f"{MLFLOW}.set_registered_model_alias", 2),  # champion
        *_around(f"{LEDGER}.crown"),
    ],
    "promote a canary": [
        *_around(f"{LEDGER}.record"),
        *_around(f"{MLFLOW}.set_registered_model_alias", 2),  # champion
        *_around(f"{LEDGER}.crown"),
    ],
    "reject a canary": [*_around(f"{LEDGER}.record"), *_around(f"{MLFLOW}.delete_registered_model_alias")],
    "unpin": _around(f"{PINS}.unpin"),
}
