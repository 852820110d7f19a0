"""Ports of this machine: free or taken, and by whom."""

import os
import socket
from pathlib import Path

from evergreen.errors import UserError

HOST = "127.0.0.1"
_LISTENING = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it


def require_port(port: int, option: str) -> int:
    """The port itself, or a free one where it is 0. Raises UserError, which names the holder, where it is taken."""
    with socket.socket() as probe:
        # As servers do: connections of the past that are still closing do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise UserError(
                f"port {port} needs more rights than you have; choose one over 1023 with {option}"
            ) from error
        except OSError as error:
            who = holder(port)
            by = f" by {who}" if who else ""
            message = f"port {port} is taken{by}; choose another with {option}, or 0 for any that is free"
            raise UserError(message) from error
        return int(probe.getsockname()[1])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def holder(port: int) -> str | None:
    """Who listens on a port, as name and process id; None where that cannot be told."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for folder in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(os.readlink(file) in sockets for file in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:
            # Somebody else's, or gone meanwhile.
            continue
    return None


def _listening(port: int) -> set[str]:
    """Inodes of the sockets that listen on a port."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net") / name)]
    return {line[9] for line in lines if line[3] == _LISTENING and int(line[1].rpartition(":")[2], 16) == port}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:] if path.exists() else []
