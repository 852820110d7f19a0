"""Whether anybody listens at an address, before a vendor's client tries for minutes."""

import socket

from evergreen.errors import UnavailableError

_PATIENCE_SECONDS = 5.0


def reach(runner: str, address: str, *, greets: bool) -> None:
    """Raise UnavailableError where nothing accepts a connection at `[scheme://]host:port`.

    With `greets`, what listens must also say something first: Dask's and Ray's servers do, and their clients wait many
    minutes for another kind of server to answer them.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_SECONDS) as connection:
            if greets and not connection.recv(1):
                raise ConnectionError("it hangs up")
    except OSError as error:
        raise unreachable(runner, address, error) from None


def unreachable(runner: str, address: str, error: BaseException | str) -> UnavailableError:
    """The error for a cluster that does not answer as one, in one line."""
    why = str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0]
    return UnavailableError(
        f"training.search.address: no {runner} cluster answers at {address} ({why}); start it, or leave the address out"
    )
