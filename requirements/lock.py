"""Resolve pyproject.toml into requirements/*.txt: exact versions with hashes, for every platform, naming no index."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
EXTRAS = ["pyproject.toml", "--extra", "examples", "--extra", "postgres", "--extra", "s3"]
# Chosen by few, and large: what each adds to run.txt stands in a file of its own, and tests use them all.
LARGE = ("dask", "ray", "numba")
# Not for tests: wherever they are installed, every Prefect server imports them.
WORKERS = ("docker", "kubernetes")
# What serves neither runs flows, nor reports, nor tells people; a test holds its imports against that.
NOT_FOR_SERVING = ("prefect", "evidently", "pandera", "apprise", "cronsim")
ALL = [*EXTRAS, *(part for name in LARGE for part in ("--extra", name))]
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


def serving(run: str) -> str:
    """What serves: a part of run.txt, in the same versions."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["postgres"], *extras["s3"]]
    source, target = HERE / ".serve.in", HERE / ".serve.txt"
    source.write_text("\n".join(one for one in wanted if re.split(r"[^\w.-]", one)[0] not in NOT_FOR_SERVING))
    target.write_text(run)
    try:
        part = entries(resolve([str(source)], target))
    finally:
        source.unlink()
        target.unlink()
    # By their pins: where a platform decides, less may be needed here.
    moved = {entry.split()[0] for entry in part} - {entry.split()[0] for entry in entries(run)}
    if moved:
        sys.exit(f"serving alone needs other versions: {', '.join(moved)}")
    return "".join(part)


def main() -> None:
    dev = resolve([*ALL, "--group", "dev"], HERE / "dev.txt")
    run = resolve(EXTRAS, HERE / "run.txt")
    files = {"dev": dev, "run": run, **{name: addition(name, run, dev) for name in (*LARGE, *WORKERS)}}
    files["serve"] = serving(run)
    # What builds the project's own wheel in an image.
    files["build"] = resolve(["--group", "build"], HERE / "build.txt")
    for name, text in files.items():
        (HERE / f"{name}.txt").write_text(HEADER + text)


if __name__ == "__main__":
    main()
