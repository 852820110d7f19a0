"""Resolve pyproject.toml into requirements/*.txt: exact versions with hashes, for every platform, naming no index."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Dask and Ray are chosen by few and installed by them: `pip install evergreen[dask]`.
EXTRAS = ["--extra", "examples", "--extra", "postgres", "--extra", "s3"]
SETS = {
    "run": [*EXTRAS],
    "dev": [*EXTRAS, "--group", "dev"],
    "kubernetes": [*EXTRAS, "--extra", "kubernetes"],
}
HEADER = "# Made by `make lock` from pyproject.toml. Exact versions with hashes; see CONTRIBUTING.md.\n"


def lock(name: str, options: list[str]) -> None:
    target = HERE / f"{name}.txt"
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--universal",
        "--python-version",
        "3.11",
    ]
    quiet = [
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--quiet",
    ]
    subprocess.run([*command, *options, *quiet, "--output-file", str(target)], check=True, cwd=HERE.parent)
    target.write_text(HEADER + target.read_text())


for name, options in SETS.items():
    lock(name, options)
