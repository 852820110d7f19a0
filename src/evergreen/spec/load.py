"""Read a spec from YAML, with errors that name the file, the line and the choices."""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from evergreen.errors import SpecError
from evergreen.spec.model import ModelSpec

Location = tuple[str | int, ...]
_DEEPEST = 40


def load_spec(path: Path) -> ModelSpec:
    """The spec in a file.

    Raises SpecError when the file is missing, no YAML, or no spec: one line an error, each with the line
    in the file, the key, and where a key or a choice is unknown the ones there are.
    """
    values, lines = _read(path)
    try:
        return ModelSpec.model_validate(values)
    except ValidationError as error:
        messages = [_message(path, detail, lines) for detail in error.errors(include_url=False)]
        raise SpecError("\n".join(dict.fromkeys(messages))) from None


def find_spec(configs: Path, model: str) -> Path:
    """The file with this name in the folder of specs, or else the only one that names this registered model.

    Raises SpecError with the ones there are.
    """
    path = configs / f"{model}.yaml"
    if path.is_file():
        return path
    of_model = [file for file in sorted(configs.glob("*.yaml")) if _names(file, model)]
    if len(of_model) == 1:
        return of_model[0]
    known = sorted(p.stem for p in configs.glob("*.yaml"))
    close = difflib.get_close_matches(model, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none yet'}"
    raise SpecError(f"{path}: no spec for model {model!r}; {hint} (evergreen init writes one)")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec file, for editors."""
    return ModelSpec.model_json_schema(by_alias=True)


def _names(path: Path, model: str) -> bool:
    try:
        return load_spec(path).model == model
    except SpecError:
        return False


def _read(path: Path) -> tuple[Any, dict[Location, int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: is not UTF-8 text") from None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise SpecError(f"{path}: is empty or no mapping; a spec starts with `model:`")
        lines: dict[Location, int] = {}
        # Before values are made of it, which writes what is merged into the nodes.
        _collect_lines(path, root, (), lines)
        return loader.construct_document(root), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError(f"{where}: is not valid YAML ({getattr(error, 'problem', None) or error})") from None


def _collect_lines(path: Path, node: yaml.Node, at: Location, lines: dict[Location, int]) -> None:
    if len(at) > _DEEPEST:
        raise SpecError(f"{path}:{node.start_mark.line + 1}: is nested too deep; does an alias name itself?")
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _collect_lines(path, item, (*at, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                where = f"{path}:{key.start_mark.line + 1}"
                raise SpecError(f"{where}: a key must be a name; quote what starts with {{ or [")
            location = (*at, key.value)
            if location in lines:
                where, first = f"{path}:{key.start_mark.line + 1}", lines[location]
                raise SpecError(f"{where}: {_dotted(location)} stands twice, first in line {first}")
            lines[location] = key.start_mark.line + 1
            _collect_lines(path, value, location, lines)


def _message(path: Path, detail: ErrorDetails, lines: dict[Location, int]) -> str:
    location = _in_file(detail["loc"], lines)
    line = next(lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in lines)
    where = f"{path}:{line}: "
    context = detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        choices = _keys_at(detail["loc"][:-1])
        return f"{where}{_dotted(location)}: unknown key; {_suggest(str(location[-1]), choices)}"
    if detail["type"] == "union_tag_invalid":
        choices = [c.strip(" '") for c in str(context["expected_tags"]).split(",")]
        return f"{where}{_dotted((*location, 'kind'))}: unknown {context['tag']!r}; {_suggest(context['tag'], choices)}"
    if detail["type"] == "literal_error":
        choices = [c.strip(" '") for c in str(context["expected"]).replace(" or ", ", ").split(",")]
        return f"{where}{_dotted(location)}: unknown {detail['input']!r}; {_suggest(str(detail['input']), choices)}"
    if detail["type"] == "missing":
        return f"{where}{_dotted(location)}: is missing"
    if detail["type"] == "union_tag_not_found":
        return f"{where}{_dotted((*location, 'kind'))}: is missing"
    reason = detail["msg"].removeprefix("Value error, ")
    return f"{where}{_dotted(location)}: {reason}" if location else f"{where}{reason}"


def _in_file(loc: Location, lines: dict[Location, int]) -> Location:
    """Pydantic's location without the union tags, which stand in no file."""
    found: Location = ()
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if (*found, part) in lines or last:
            found = (*found, part)
    return found


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)


def _suggest(wrong: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(wrong, choices, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}choose one of {', '.join(choices)}"


def _keys_at(loc: Location) -> list[str]:
    """The keys that a spec may have at a place, following union tags and list positions."""
    schema = json_schema()
    node: dict[str, Any] = schema
    for part in loc:
        node = _step(schema, node, part)
    return sorted(node.get("properties", {}))


def _step(schema: dict[str, Any], node: dict[str, Any], part: str | int) -> dict[str, Any]:
    node = _resolve(schema, node)
    if isinstance(part, int):
        return _resolve(schema, node.get("items", {}))
    if part in node.get("properties", {}):
        return _resolve(schema, node["properties"][part])
    if "discriminator" in node:
        return _resolve(schema, {"$ref": node["discriminator"]["mapping"].get(part, "#")})
    return _resolve(schema, node.get("additionalProperties") or {})


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for alternative in node.get("anyOf", []):
        if "$ref" in alternative:
            return _resolve(schema, alternative)
    while "$ref" in node:
        reference = node["$ref"]
        node = schema if reference == "#" else schema["$defs"][reference.rsplit("/", 1)[-1]]
    return node
