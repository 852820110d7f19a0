"""In which environment a version was trained, and how the present one differs from it."""

import json
from collections.abc import Iterator, Mapping

from evergreen.registry import provenance as tag
from evergreen.registry.artifact import Files

Versions = Mapping[str, str | None]

_ELSEWHERE = "what is the same, or differs, is so in this environment, and need not be so in that one"


def say_surroundings(tags: Mapping[str, str], files: Files, *, moved: bool) -> Iterator[str]:
    """A note where the present environment is not the recorded one: each part, then and now.

    `tags` and `files` are those of the version; `moved` says whether the training key tells that the environment is
    another one. A version of an older Evergreen has only what its artifact requires, which is not all that counts.
    """
    from evergreen.training.key import environment

    now, recorded = environment(), tag.ENVIRONMENT in tags
    then = json.loads(tags[tag.ENVIRONMENT]) if recorded else read_required(files)
    if changes := list(changed(then, now)):
        yield f"environment: {'; '.join(changes)}. {_ELSEWHERE[0].upper()}{_ELSEWHERE[1:]}"
    elif moved and recorded:
        yield f"environment: it was kept in another way, so that nobody can tell whether it is the same; {_ELSEWHERE}"
    elif moved:
        rest = sorted(now.keys() - then.keys())
        yield f"environment: not the same in what was not recorded then ({', '.join(rest)}); {_ELSEWHERE}"


def changed(then: Versions, now: Versions) -> Iterator[str]:
    """Each name of `then` or `now` with both values, where they differ; a part that only one of the two knows of is
    compared only where both were asked about it.

    >>> list(changed({"numpy": "2.0.1", "python": "3.11.9"}, {"numpy": "2.1.0", "python": "3.11.9", "joblib": "1.5"}))
    ['numpy 2.0.1 then, 2.1.0 now']
    >>> list(changed({"duckdb": None}, {"duckdb": "1.4.1"}))
    ['duckdb not installed then, 1.4.1 now']
    """
    for name in sorted(then.keys() & now.keys()):
        if then[name] != now[name]:
            yield f"{name} {_named(then[name])} then, {_named(now[name])} now"


def read_required(files: Files) -> dict[str, str | None]:
    """Versions that a model artifact pins, and its Python.

    >>> read_required({"requirements.txt": b"numpy==2.0.1\\nskops==0.13.0\\n", "python_env.yaml": b"python: 3.11.9"})
    {'numpy': '2.0.1', 'skops': '0.13.0', 'python': '3.11.9'}
    """
    import yaml

    lines = files.get("requirements.txt", b"").decode().splitlines()
    pins = (line.partition("==") for line in lines)
    found: dict[str, str | None] = {name.strip(): version.strip() for name, sign, version in pins if sign}
    python = (yaml.safe_load(files.get("python_env.yaml", b"")) or {}).get("python")
    return found | ({"python": str(python)} if python else {})


def _named(version: str | None) -> str:
    return version or "not installed"
