"""A trial that will never be done is given up, instead of waited for."""

import time
from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster

from evergreen.cluster import dask as module
from evergreen.cluster.dask import ask_dask, wait_dask
from evergreen.cluster.sight import Question
from evergreen.errors import UnavailableError


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """A scheduler and a worker in threads of this process, glanced at often."""
    monkeypatch.setattr(module, "_GLANCE_SECONDS", 0.2)
    monkeypatch.setattr(module, "_ALONE_SECONDS", 0.5)
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 2)
    with LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        yield client


def test_what_is_done_is_waited_for_as_long_as_it_takes(client):
    future = client.submit(time.sleep, 1.0)
    wait_dask(future)
    assert future.done()


def test_a_cluster_without_workers_is_given_up(cluster, client):
    cluster.scale(0)
    while client.nthreads():
        time.sleep(0.1)
    with pytest.raises(UnavailableError, match="the Dask cluster has no workers any more; start some, and run"):
        wait_dask(client.submit(time.sleep, 0.0))


def test_a_cluster_that_never_had_workers_is_named(cluster):
    cluster.scale(0)
    asked = Question("", "", "", None, "", "", None)  # type: ignore[arg-type]
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        while client.nthreads():
            time.sleep(0.1)
    with pytest.raises(UnavailableError, match=r"the Dask cluster at tcp://.* has no workers"):
        ask_dask(cluster.scheduler_address, asked)
