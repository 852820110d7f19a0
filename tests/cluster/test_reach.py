"""Whether a cluster is at an address is known within seconds."""

import socket
import threading
from collections.abc import Iterator

import pytest

from evergreen.cluster import reach as module
from evergreen.cluster.reach import reach
from evergreen.errors import UnavailableError
from tests.servers import free_port


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody accepts connections and waits for the other to speak."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["tcp://", "ray://", ""])
def test_where_nobody_listens_is_said_in_one_line_with_the_next_step(scheme):
    address = f"{scheme}127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError) as caught:
        reach("Dask", address, greets=False)
    assert str(caught.value) == (
        f"training.search.address: no Dask cluster answers at {address} (Connection refused); start it, or leave the "
        "address out"
    )


def test_a_name_that_nobody_has_is_no_address():
    with pytest.raises(UnavailableError, match=r"no Ray cluster answers at nowhere\.invalid:1 \("):
        reach("Ray", "nowhere.invalid:1", greets=False)


def test_another_kind_of_server_is_told_by_its_silence(silent, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.2)
    reach("Ray", f"127.0.0.1:{silent}", greets=False)
    with pytest.raises(UnavailableError, match=r"\(timed out\)"):
        reach("Ray", f"127.0.0.1:{silent}", greets=True)


def hang_up(listening: socket.socket) -> None:
    listening.accept()[0].close()


def test_a_server_that_hangs_up_is_none():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        threading.Thread(target=hang_up, args=(listening,), daemon=True).start()
        with pytest.raises(UnavailableError, match=r"\((it hangs up|Connection reset by peer)\)"):
            reach("Ray", address, greets=True)
