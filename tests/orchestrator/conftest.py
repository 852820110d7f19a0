"""A project of one's own that is deployed to a real server."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from evergreen.orchestrator.api import PrefectApi
from evergreen.orchestrator.deploy import deploy
from tests.servers import PrefectServer, bare_environment

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workspace:
    """A folder with this repository's flows and specs of its own, and a server."""

    folder: Path
    server: PrefectServer
    spec: Mapping[str, Any]

    @property
    def api(self) -> PrefectApi:
        return self.server.api

    @property
    def configs(self) -> Path:
        return self.folder / "configs"

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "EVERGREEN_HOME": str(self.folder / "home"),
            "EVERGREEN_CONFIGS": str(self.configs),
            "EVERGREEN_PROJECT": str(self.folder),
            "OMP_NUM_THREADS": "1",
        }
        return {**bare_environment(), **self.server.environment, **own}

    def write(self, name: str, **changes: Any) -> None:
        """A spec, with parts of it replaced."""
        (self.configs / f"{name}.yaml").write_text(yaml.safe_dump({**self.spec, "model": name, **changes}))

    def remove(self, name: str) -> None:
        (self.configs / f"{name}.yaml").unlink()

    def deploy(self) -> list[str]:
        return list(deploy(self.api, self.folder, self.configs, self.environment))

    def state(self) -> dict[str, Any]:
        """All that deploying may change on the server; the order of keys and moments do not matter."""
        ours = [one for one in self.api.deployments() if "evergreen" in one.tags]
        drift = [one for one in self.api.automations() if one.name.startswith("evergreen: ")]
        return {"deployments": ours, "automations": [(one.id, one.enabled, one.raw["actions"]) for one in drift]}


def copy_code(folder: Path) -> None:
    """The repository's flows, tasks and automations."""
    leave = shutil.ignore_patterns("__pycache__")
    for part in ("flows", "tasks", "deployments/automations"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=leave)
    (folder / "configs").mkdir()


@pytest.fixture(scope="module")
def workspace(
    prefect_server: PrefectServer, small_spec: Callable[[str], Mapping[str, Any]], tmp_path_factory: Any
) -> Workspace:
    folder = tmp_path_factory.mktemp("workspace") / "project"
    copy_code(folder)
    return Workspace(folder, prefect_server, small_spec("unnamed"))


@pytest.fixture
def evergreen_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The command, run in a folder with the repository's flows and without specs."""
    from evergreen.cli.main import main

    def enter(folder: Path) -> Callable[..., Any]:
        copy_code(folder)
        monkeypatch.chdir(folder)
        for name in ("EVERGREEN_CONFIGS", "EVERGREEN_HOME", "PREFECT_API_URL"):
            monkeypatch.delenv(name, raising=False)

        def run(*arguments: str) -> Any:
            monkeypatch.setattr("sys.argv", ["evergreen", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr()
            return SimpleNamespace(code=int(ended.value.code or 0), out=said.out, err=said.err)

        return run

    return enter
