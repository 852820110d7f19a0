"""Resolve pyproject.toml into requirements/*.txt: exact versions with hashes, for every platform, naming no index."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
EXTRAS = ["pyproject.toml", "--extra", "examples", "--extra", "postgres", "--extra", "s3"]
# Chosen by few, and large: what each adds to run.txt stands in a file of its own, and tests use both.
CLUSTERS = ("dask", "ray")
# Not for tests: wherever they are installed, every Prefect server imports them.
WORKERS = ("docker", "kubernetes")
ALL = [*EXTRAS, *(part for name in CLUSTERS for part in ("--extra", name))]
HEADER = "# Made by `make lock` from pyproject.toml. Exact versions with hashes; see CONTRIBUTING.md.\n"
ENTRY = re.compile(r"(?m)^(?=[\w.-]+(?:\[.*\])?==)")


def resolve(options: list[str], target: Path) -> str:
    """What uv finds; versions that stand in the target already stay as they are where they can."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
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
    return target.read_text()


def entries(text: str) -> list[str]:
    """One a package: its pin, marker and hashes."""
    return ENTRY.split(text)[1:]


def addition(name: str, run: str, dev: str) -> str:
    """What an extra needs on top of run.txt, in the versions that tests use."""
    target = HERE / f".{name}.txt"
    target.write_text(dev)
    try:
        whole = entries(resolve([*EXTRAS, "--extra", name], target))
    finally:
        target.unlink()
    moved = set(entries(run)) - set(whole)
    if moved:
        sys.exit(f"with {name} other versions are needed than without of {', '.join(e.split()[0] for e in moved)}")
    return "".join(entry for entry in whole if entry not in entries(run))


def main() -> None:
    dev = resolve([*ALL, "--group", "dev"], HERE / "dev.txt")
    run = resolve(EXTRAS, HERE / "run.txt")
    files = {"dev": dev, "run": run, **{name: addition(name, run, dev) for name in (*CLUSTERS, *WORKERS)}}
    # What builds the project's own wheel in an image.
    files["build"] = resolve(["--group", "build"], HERE / "build.txt")
    for name, text in files.items():
        (HERE / f"{name}.txt").write_text(HEADER + text)


main()
