"""An address is of a cluster that runs already, in the form that its runner connects to, and holds no secret."""

import pytest
from pydantic import ValidationError

from evergreen.errors import SpecError
from evergreen.spec.load import load_spec
from evergreen.spec.training import Search


def read(project, **search):
    project.change(training__search=search)
    return load_spec(project.spec_file).training.search


@pytest.mark.parametrize(
    ("runner", "address"),
    [
        ("dask", "tcp://scheduler:8786"),
        ("dask", "tls://10.0.0.7:8786"),
        ("dask", "tcp://[::1]:8786"),
        ("ray", "ray://head:10001"),
        ("ray", "10.0.0.7:6379"),
    ],
)
def test_what_a_runner_connects_to(project, runner, address):
    assert read(project, runner=runner, address=address).address == address


@pytest.mark.parametrize(
    ("runner", "address", "instead"),
    [
        ("dask", "ray://head:10001", "no address of runner dask; write it like tcp://scheduler:8786"),
        ("dask", "scheduler:8786", "write it like tcp://scheduler:8786"),
        ("dask", "tcp://scheduler", "write it like tcp://scheduler:8786"),
        ("ray", "tcp://scheduler:8786", "no address of runner ray; write it like ray://head:10001"),
        ("ray", "auto", "write it like ray://head:10001"),
        ("threads", "tcp://scheduler:8786", "runner threads uses none; choose runner dask or ray"),
        ("processes", "10.0.0.7:6379", "runner processes uses none; choose runner dask or ray"),
    ],
)
def test_what_it_does_not_connect_to(project, runner, address, instead):
    with pytest.raises(SpecError) as caught:
        read(project, runner=runner, address=address)
    assert "training.search.address" in str(caught.value)
    assert instead in str(caught.value)


def test_a_cluster_that_runs_already_has_the_workers_that_it_has(project):
    with pytest.raises(SpecError, match="leave workers out, or address"):
        read(project, runner="dask", address="tcp://scheduler:8786", workers=2)
    assert read(project, runner="dask", workers=2).workers == 2


@pytest.mark.parametrize("address", ["tcp://eva:s3cret@scheduler:8786", "ray://head:10001?token=s3cret"])
def test_a_secret_is_refused_and_not_repeated(address):
    with pytest.raises(ValidationError) as caught:
        Search(runner="dask", address=address)
    (error,) = caught.value.errors()
    assert "holds a secret" in error["msg"]
    assert "s3cret" not in error["msg"]


def test_where_trials_run_is_no_part_of_a_training(project):
    from evergreen.training.key import training_digest

    project.change(training__search={"runner": "threads"})
    here = load_spec(project.spec_file)
    project.change(training__search={"runner": "dask", "address": "tcp://scheduler:8786"})
    assert training_digest(load_spec(project.spec_file)) == training_digest(here)
