"""What a worker must see, by planting what it may miss; look() runs here as it does there."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evergreen.cluster.sight import Question, complain, look, question
from evergreen.errors import UnavailableError
from evergreen.stages.load import inspect_data
from evergreen.stages.open import read_spec
from evergreen.training.key import code_digest
from tests.servers import free_port


@pytest.fixture
def asked(project: Any, first_moment: Any) -> Iterator[Question]:
    """A question about everything as it is here."""
    spec = read_spec("tiny", project.settings)
    snapshot, _ = inspect_data(spec, first_moment, project.settings)
    with question(project.settings.work / "key", snapshot.path, spec, code_digest(spec), None) as asked:
        yield asked


def test_this_process_sees_what_it_asks_for_and_the_file_it_asks_with_is_gone_afterwards(asked):
    assert look(asked) == ()
    assert Path(asked.file).is_file()


def test_nothing_of_a_question_stays(project, asked):
    with question(Path(asked.folder), asked.snapshot, asked.spec, asked.code, None) as another:
        assert another.file != asked.file
    assert [path.name for path in Path(asked.folder).iterdir()] == [Path(asked.file).name]


def with_estimator(reference: str) -> Callable[[Question], Question]:
    def change(asked: Question) -> Question:
        values = asked.spec.model_dump(by_alias=True)
        values["training"]["candidates"] = [{"kind": "custom", "estimator": reference}]
        spec = type(asked.spec).model_validate(values)
        return replace(asked, spec=spec, code=code_digest(spec))

    return change


@pytest.mark.parametrize(
    ("plant", "problem"),
    [
        (with_estimator("nowhere:Estimator"), "cannot import nowhere: start it with PYTHONPATH"),
        (with_estimator("nowhere.to.be:Found"), r"cannot import nowhere\.to\.be"),
        (
            lambda asked: replace(asked, file=f"{asked.folder}/another"),
            "does not see .*EVERGREEN_HOME must be a folder",
        ),
        (lambda asked: replace(asked, folder=asked.file), r"cannot write into .*\(Not a directory\)"),
        (lambda asked: replace(asked, snapshot=f"{asked.snapshot}x"), "cannot read the snapshot: .* is gone"),
        (lambda asked: replace(asked, snapshot=asked.file), "cannot read the snapshot: .* no whole Parquet file"),
        (lambda asked: replace(asked, code="another"), "other sources than this process: install the same commit"),
        (lambda asked: replace(asked, environment="another"), "another Python or other libraries than this process"),
    ],
)
def test_what_a_worker_misses_is_said_with_the_next_step(asked, plant, problem):
    (found,) = look(plant(asked))
    assert re.search(problem, found), found


def test_a_prefect_that_only_this_machine_reaches_is_named(asked):
    address = f"http://127.0.0.1:{free_port()}/api"
    (found,) = look(replace(asked, prefect=address))
    assert found.startswith(f"does not reach Prefect at {address}: set PREFECT_API_URL")


def test_one_worker_that_cannot_run_trials_is_enough_to_stop():
    complain("Dask", {"tcp://a:1": (), "tcp://b:1": ()})
    with pytest.raises(UnavailableError, match=r"the Dask worker tcp://b:1 does not see /srv; see docs/scaling\.md"):
        complain("Dask", {"tcp://a:1": (), "tcp://b:1": ("does not see /srv", "is old")})
    with pytest.raises(UnavailableError, match=r"the Ray worker a:1 \(and 1 more of 3\) is old"):
        complain("Ray", {"a:1": ("is old",), "b:1": ("is old",), "c:1": ()})
