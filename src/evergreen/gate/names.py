"""The names that gates may use, checked before anything is trained."""

from evergreen.errors import SpecError
from evergreen.evaluation.metrics import METRICS, metric_names, require_metric
from evergreen.gate.absolute import COSTS
from evergreen.spec.model import ModelSpec


def require_known_metrics(spec: ModelSpec, where: str) -> None:
    """Raise SpecError for a metric in training or gates that the task does not have. `where` names the file."""
    require_metric(spec.training.metric, spec.task, f"{where}: training.metric")
    if spec.gates.against_champion is not None:
        require_metric(spec.gates.against_champion.metric, spec.task, f"{where}: gates.against_champion.metric")
    for name in spec.gates.absolute:
        if name not in COSTS and (name not in METRICS or METRICS[name].task != spec.task):
            choices = ", ".join((*metric_names(spec.task), *COSTS))
            raise SpecError(f"{where}: gates.absolute: no {name!r} for a {spec.task}; choose one of {choices}")
