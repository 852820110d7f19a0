"""What holds for the repository as a whole: names, sizes, imports without effects, versions that work together."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
FLOWS = sorted((REPOSITORY / "flows").glob("[!_]*.py"))
TASKS = sorted((REPOSITORY / "tasks").glob("[!_]*.py"))


@pytest.mark.parametrize("path", [*FLOWS, *TASKS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_flow_or_task_hides_a_module_that_somebody_imports(path, monkeypatch):
    # Prefect puts a flow's folder first on the path: what stands there wins over every installed module of that name.
    own = {str(REPOSITORY), str(REPOSITORY / "flows"), str(REPOSITORY / "tasks"), ""}
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in own])
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    assert importlib.util.find_spec(path.stem) is None


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of_body(function: ast.FunctionDef) -> int:
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return 0 if not statements else (statements[-1].end_lineno or 0) - statements[0].lineno + 1


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_is_a_thin_wrapper_named_like_its_file(path):
    found = functions(path)
    assert path.stem in [function.name for function in found]
    assert {function.name: lines_of_body(function) for function in found if lines_of_body(function) > 15} == {}


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_is_composition_only(path):
    text = path.read_text(encoding="utf-8")
    assert path.stem in [function.name for function in functions(path)]
    assert not re.search(r"\b(pandas|numpy|mlflow|sklearn|sqlalchemy)\b", text)
    assert max(lines_of_body(function) for function in functions(path)) <= 40


IMPORT_ALL = """
import pkgutil, sys
effects = []
WRITING = set("wax+")

def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "os.mkdir", "subprocess.Popen"):
        effects.append((event, str(arguments[:2])))
    elif event == "open" and isinstance(arguments[1], str) and WRITING & set(arguments[1]):
        effects.append((event, str(arguments[0])))

sys.addaudithook(watch)
import evergreen
for module in pkgutil.walk_packages(evergreen.__path__, "evergreen."):
    if ".migrations." not in module.name:
        __import__(module.name)
print([effect for effect in effects if "matplotlib" not in effect[1]])
"""


def test_importing_the_library_writes_nothing_and_calls_nobody(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    command = [sys.executable, "-B", "-c", IMPORT_ALL]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert [path.name for path in tmp_path.iterdir() if path.name != "matplotlib"] == []


def committed_texts() -> list[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone")
    texts = []
    for name in listed.stdout.decode().split("\0"):
        path = REPOSITORY / name
        if name and path.is_file() and path.suffix not in (".png", ".parquet", ".zip", ".gz"):
            texts.append((name, path.read_text(encoding="utf-8", errors="replace")))
    return texts


def test_no_committed_file_names_a_package_index_or_a_path_of_one_machine():
    # Written in parts, so that this file does not break its own rule.
    hosts = (
        "pypi" + r"\.org",
        "pythonhosted" + r"\.org",
        "--index" + "-url ",
        "--extra-index" + "-url",
        "--find" + "-links ",
    )
    places = (
        r"(?<![\w.])/ho" + r"me/\w",
        "/Us" + r"ers/\w",
        r"(?<![\w.])/wo" + "rk/",
        "/ro" + r"ot/\w",
        r"\bC:" + r"\\Us" + "ers",
    )
    rule = re.compile("|".join((*hosts, *places)))
    broken = [(name, found.group()) for name, text in committed_texts() if (found := rule.search(text))]
    assert broken == []


PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
RUN = [
    *PROJECT["project"]["dependencies"],
    *(r for e in ("examples", "postgres", "s3") for r in PROJECT["project"]["optional-dependencies"][e]),
]
LARGE = {name: PROJECT["project"]["optional-dependencies"][name] for name in ("dask", "ray", "numba")}
DIRECT = {"run": RUN, "dev": [*RUN, *PROJECT["dependency-groups"]["dev"], *chain(*LARGE.values())]}


PIN = re.compile(r"(?m)^([\w.-]+)(?:\[.*\])?==([^\s\\;]+)")


def pins(name: str) -> dict[str, set[str]]:
    """Versions of every package; there are two where newer ones ask for a newer Python."""
    found: dict[str, set[str]] = {}
    for package, pinned in PIN.findall((REPOSITORY / "requirements" / f"{name}.txt").read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(package), set()).add(pinned)
    return found


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_direct_dependency_is_pinned_within_its_range(name):
    pinned = pins(name)
    for wanted in map(Requirement, DIRECT[name]):
        versions = pinned.get(canonicalize_name(wanted.name), set())
        assert versions, f"{wanted} is not pinned"
        assert all(map(wanted.specifier.contains, versions)), f"{wanted} is pinned to {versions}"


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_pin_has_its_hashes(name):
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[\w.-]+(?:\[.*\])?==)", text)[1:]
    assert len(entries) == sum(map(len, pins(name).values())) > 50
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_runs_is_what_is_developed_with():
    run, dev = pins("run"), pins("dev")
    assert {name: versions for name, versions in run.items() if dev.get(name) != versions} == {}


@pytest.mark.parametrize("name", LARGE)
def test_what_an_extra_adds_fits_what_runs_without_it(name):
    run, dev, added = pins("run"), pins("dev"), pins(name)
    assert {canonicalize_name(Requirement(wanted).name) for wanted in LARGE[name]} <= added.keys()
    assert run.keys().isdisjoint(added)
    assert {package: versions for package, versions in added.items() if dev.get(package) != versions} == {}


def test_what_is_installed_is_what_is_pinned():
    for name in ("prefect", "mlflow", "evidently", "pandas", "scikit-learn", "sqlalchemy", "fastapi", *LARGE):
        assert version(name) in pins("dev")[name]
