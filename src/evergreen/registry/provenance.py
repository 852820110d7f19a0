"""Where a model came from, as tags of its run and of its version."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

SNAPSHOT = "evergreen.snapshot"
SPEC = "evergreen.spec"
CODE = "evergreen.code"
COMMIT = "evergreen.commit"
REASON = "evergreen.reason"
FLOW_RUN = "evergreen.flow_run"
TRAINING_KEY = "evergreen.training_key"
STARTED_FROM = "evergreen.started_from"
TRAINED_UNTIL = "evergreen.trained_until"
DRAW = "evergreen.draw"
METRICS = "evergreen.metrics"
ENVIRONMENT = "evergreen.environment"
MODEL_URI = "evergreen.model_uri"
MODEL_DIGEST = "evergreen.model_digest"
MODEL_SIZE_MB = "evergreen.model_size_mb"
SERIALIZATION = "evergreen.serialization"
REFERENCE_DIGEST = "evergreen.reference_digest"
PROFILE_DIGEST = "evergreen.profile_digest"
BASELINE_DIGEST = "evergreen.baseline_digest"
BASELINE_FACTS_DIGEST = "evergreen.baseline_facts_digest"
CANDIDATE_DIGEST = "evergreen.candidate_digest"


@dataclass(frozen=True)
class Provenance:
    """What a version can be traced back to. What is not known is empty and gets no tag.

    `started_from` is the version its training could go on from. `trained_until` is aware. `draw` names how a random
    split drew its holdout. `metrics` are those of the holdout; None where one could not be computed. `environment` has
    Python, the kind of machine, and versions of libraries.
    """

    snapshot: str = ""
    spec_digest: str = ""
    code: str = ""
    commit: str = ""
    reason: str = ""
    flow_run: str = ""
    training_key: str = ""
    started_from: int | None = None
    trained_until: datetime | None = None
    draw: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)

    def to_tags(self) -> dict[str, str]:
        """As tags.

        >>> Provenance(snapshot="5e1f", metrics={"f1": 0.5}).to_tags()
        {'evergreen.snapshot': '5e1f', 'evergreen.metrics': '{"f1": 0.5}'}
        """
        tags = {
            SNAPSHOT: self.snapshot,
            SPEC: self.spec_digest,
            CODE: self.code,
            COMMIT: self.commit,
            REASON: self.reason,
            FLOW_RUN: self.flow_run,
            TRAINING_KEY: self.training_key,
            STARTED_FROM: "" if self.started_from is None else str(self.started_from),
            TRAINED_UNTIL: self.trained_until.isoformat() if self.trained_until else "",
            DRAW: self.draw,
            METRICS: json.dumps(dict(self.metrics)) if self.metrics else "",
            ENVIRONMENT: json.dumps(dict(self.environment)) if self.environment else "",
        }
        return {key: value for key, value in tags.items() if value}
