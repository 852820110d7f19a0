"""Where state lives: one folder by default, a URL each in production."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evergreen.address import sqlite_file


@dataclass(frozen=True)
class Settings:
    """Addresses of everything that outlives a run. Building one touches neither disk nor network.

    `home` is absolute. `tracking_uri` and `store_url` are URLs; `snapshots` is any fsspec path.
    """

    home: Path
    configs: Path
    tracking_uri: str
    artifacts: str
    store_url: str
    snapshots: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read EVERGREEN_HOME, EVERGREEN_CONFIGS, MLFLOW_TRACKING_URI, EVERGREEN_STORE_URL and EVERGREEN_SNAPSHOTS.

        >>> Settings.from_environment({"EVERGREEN_HOME": "/srv/evergreen"}).store_url
        'sqlite:////srv/evergreen/evergreen.db'
        """
        env = os.environ if environment is None else environment
        home = Path(env.get("EVERGREEN_HOME") or ".evergreen").expanduser().absolute()
        return cls(
            home=home,
            configs=Path(env.get("EVERGREEN_CONFIGS") or "configs").expanduser().absolute(),
            tracking_uri=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}",
            artifacts=str(home / "artifacts"),
            store_url=env.get("EVERGREEN_STORE_URL") or f"sqlite:///{home / 'evergreen.db'}",
            snapshots=env.get("EVERGREEN_SNAPSHOTS") or str(home / "snapshots"),
        )

    @property
    def store_file(self) -> Path | None:
        """The store's file where it is SQLite; None where it is a server.

        >>> Settings.from_environment({"EVERGREEN_STORE_URL": "postgresql://db/evergreen"}).store_file is None
        True
        """
        return sqlite_file(self.store_url)

    @property
    def tracking_file(self) -> Path | None:
        """MLflow's file where it is SQLite; None where it is a server."""
        return sqlite_file(self.tracking_uri)

    @property
    def reports(self) -> Path:
        """Reports of runs, one folder a run, for people without a tracking server at hand."""
        return self.home / "reports"

    @property
    def work(self) -> Path:
        """Scratch space of trainings, one folder a training key; safe to delete between runs."""
        return self.home / "work"
