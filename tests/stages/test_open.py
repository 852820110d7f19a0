"""What is wrong with a spec is said before any data is read."""

import pytest

from evergreen.errors import SpecError
from evergreen.stages.open import read_spec

LATE = [{"name": "a", "kind": "log", "of": "b"}, {"name": "b", "kind": "log", "of": "spent"}]
CUSTOM = {"name": "x", "kind": "custom", "transformer": "nowhere:It", "of": ["spent"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features__derive": LATE, "features__numeric": ["a"]}, "'b' is read before it is declared"),
        ({"features__numeric": ["at"]}, "features.numeric: 'at' is a datetime"),
        ({"features__derive": [CUSTOM], "features__numeric": ["x"]}, "'nowhere:It' cannot be imported"),
        (
            {"features__derive": [{"name": "x", "kind": "hour", "of": "spent"}], "features__numeric": ["x"]},
            "reads 'spent', a number; it reads datetime",
        ),
        ({"training__candidates": [{"kind": "ridge"}]}, "does no classification"),
        ({"gates__absolute": {"r2": {"at_least": 0}}}, "r2"),
    ],
)
def test_a_spec_that_cannot_be_trained_is_refused_with_its_file(project, changes, message):
    project.table.unlink()
    project.change(**changes)
    with pytest.raises(SpecError, match=message) as caught:
        read_spec(project.model, project.settings)
    assert str(caught.value).startswith(str(project.spec_file))
