"""PostgreSQL for tests: a private cluster with its own folder and its own port on loopback, stopped at the end."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.missing import do_without

_NONE = "no PostgreSQL server binaries and no way to install them"
_NAMES = count(1)


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL; `user` owns its files and its process."""

    binaries: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://evergreen@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """The address of a new, empty database. Each is hundreds of files: not one for every line of a table."""
        name = f"store_{next(_NAMES)}"
        _run([self.binaries / "psql", "-qX", "-d", self.url("postgres"), "-c", f"CREATE DATABASE {name}"])
        return self.url(name)


@contextmanager
def postgres() -> Iterator[Cluster]:
    """A cluster until the block ends, installed first where possible; else what needs it is skipped, or fails in CI."""
    binaries = _find_binaries() or _install_binaries()
    if binaries is None:
        do_without(_NONE)
    folder = Path(tempfile.mkdtemp(prefix="evergreen-postgres-"))
    identity = _unprivileged()
    if identity:
        shutil.chown(folder, identity["user"], identity["group"])
    try:
        yield from _serve(binaries, folder, identity)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(binaries: Path, folder: Path, identity: dict[str, object]) -> Iterator[Cluster]:
    data = folder / "data"
    options = ["-A", "trust", "-U", "evergreen", "--no-sync", "--locale=C", "--encoding=UTF8"]
    _run([binaries / "initdb", "-D", data, *options], cwd=folder, **identity)
    port = _free_port()
    command = [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **identity)
    try:
        _wait_until_ready(binaries, port, server, folder / "log")
        yield Cluster(binaries, port)
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        server.wait(timeout=30)


def _wait_until_ready(binaries: Path, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    ask = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "evergreen"]
    while subprocess.run(ask, check=False).returncode != 0:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _find_binaries() -> Path | None:
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folders = [*packaged[::-1], *(Path(folder) for folder in os.get_exec_path())]
    if config := shutil.which("pg_config"):
        folders.append(Path(_run([config, "--bindir"]).strip()))
    needed = ("initdb", "postgres", "pg_isready", "psql")
    return next((folder for folder in folders if all((folder / name).exists() for name in needed)), None)


def _install_binaries() -> Path | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    # The package would start a cluster of its own on the default port; nothing here uses it.
    own = Path("/etc/postgresql-common/createcluster.conf")
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("create_main_cluster = false\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    keep = ["-o", "Dpkg::Options::=--force-confold"]
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", *keep, "postgresql"]):
        if subprocess.run(command, env=quiet, capture_output=True, check=False).returncode != 0:
            return None
    return _find_binaries()


def _unprivileged() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in known else "nobody"
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[object], **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
