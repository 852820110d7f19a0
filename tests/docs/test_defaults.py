"""Blocks of the guides that show every key with its default do show every key, with its default."""

import re
from pathlib import Path

import pytest
import yaml

from evergreen.spec.canary import CanaryQuality, CanaryRules
from evergreen.spec.monitoring import MonitoringRules
from evergreen.spec.serving import CaptureRules, ExploreRules

GUIDES = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("guide", "keys", "rules", "examples"),
    [
        ("traffic.md", ("serving", "capture"), CaptureRules, {"leave_out": ["email"]}),
        ("traffic.md", ("serving", "explore"), ExploreRules, {}),
        (
            "canary.md",
            ("promotion", "canary"),
            CanaryRules,
            {"quality": {"metric": "accuracy", "margin": 0.02}, "watch": "1d"},
        ),
        ("monitoring.md", ("monitoring",), MonitoringRules, {}),
    ],
)
def test_a_guide_shows_every_key_of_a_part_with_its_default(guide, keys, rules, examples):
    blocks = [yaml.safe_load(text) for text in re.findall(r"(?s)```yaml\n(.*?)```", (GUIDES / guide).read_text())]
    for key in keys:
        blocks = [block[key] for block in blocks if isinstance(block, dict) and isinstance(block.get(key), dict)]
    (shown,) = blocks
    assert set(shown) == set(rules.model_fields)
    assert rules.model_validate(shown) == rules.model_validate(examples)


def test_the_labels_of_a_canary_are_as_many_as_the_guide_says():
    assert CanaryQuality(metric="accuracy", margin=0.02).at_least == 500
