"""Versions that resolve and do not work together: what is installed against what Evergreen says it needs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from evergreen.operations.doctor.finding import Finding, asked, fine, unknown, wrong
from evergreen.operations.doctor.patient import Patient

PYTHON, PACKAGES = "python", "packages"
_REINSTALL = "install the pinned set: pip install --require-hashes -r requirements/run.txt"


def look_at_versions(_patient: Patient) -> Iterator[Finding]:
    """This interpreter and the distributions that it would import."""
    yield asked(PYTHON, lambda: judge_python(sys.version_info[:3], metadata.metadata("evergreen")["Requires-Python"]))
    yield asked(PACKAGES, _look_at_packages)


def judge_python(version: Sequence[int], wanted: str) -> Finding:
    """The interpreter against a range such as `>=3.11`.

    >>> judge_python((3, 10, 1), ">=3.11").what
    'Python 3.10.1, and >=3.11 is needed'
    """
    from packaging.specifiers import SpecifierSet

    shown = ".".join(map(str, version))
    if SpecifierSet(wanted).contains(shown):
        return fine(PYTHON, f"Python {shown}")
    return wrong(
        PYTHON, f"Python {shown}, and {wanted} is needed", "create .venv anew with: make PYTHON=python3.12 demo"
    )


def judge_packages(requires: Sequence[str], installed: Mapping[str, str | None]) -> Finding:
    """What is installed against requirements; those of extras count only for what is there.

    >>> judge_packages(["pandas<3.1,>=3.0.6"], {"pandas": "3.1.0"}).what
    'pandas 3.1.0 is not within <3.1,>=3.0.6'
    """
    from packaging.requirements import Requirement

    problems = []
    for wanted in map(Requirement, requires):
        optional = wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})
        found = installed.get(wanted.name)
        if found is None and not optional:
            problems.append(f"{wanted.name} is not installed")
        elif found is not None and not wanted.specifier.contains(found, prereleases=True):
            problems.append(f"{wanted.name} {found} is not within {wanted.specifier}")
    if problems:
        return wrong(PACKAGES, "; ".join(problems), _REINSTALL)
    return fine(PACKAGES, f"{len(requires)} requirements are met")


def _look_at_packages() -> Finding:
    from packaging.requirements import Requirement

    requires = metadata.requires("evergreen")
    if not requires:
        return unknown(PACKAGES, "Evergreen's own metadata is not installed", "pip install --no-deps -e .")
    return judge_packages(requires, {name: _installed(name) for name in {Requirement(r).name for r in requires}})


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
