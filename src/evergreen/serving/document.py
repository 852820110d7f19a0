"""The OpenAPI document of what is posted: typed by the columns of the versions that answer now, with examples."""

from collections.abc import Iterator, Mapping
from typing import Any

from evergreen.serving.answers import ARROW, PARQUET
from evergreen.serving.examples import example_by_rules
from evergreen.serving.handles import Column, ServedModel
from evergreen.serving.loaded import LoadedModels

_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean"}
_ERRORS = {
    "400": "the body is no request: no JSON, or not of this form",
    "401": "an API key is wanted, and none or no valid one was sent",
    "403": "the API key lacks the scope",
    "404": "no such model",
    "408": "the body did not come in time",
    "413": "more bytes or rows than a request may have",
    "415": "a content type that is not read here",
    "422": "rows break the rules of the columns: field, row, rule and why",
    "429": "more requests than this key or address may make",
    "500": "something failed here; the log has more under the request's id",
    "503": "no version is loaded, or too much is waiting; ask again later",
}


def posted(loaded: LoadedModels) -> dict[str, Any]:
    """Paths of everything that is posted, for the models as they are now."""
    models = {name: place.champion for name, place in loaded.places.items()}
    paths: dict[str, Any] = {}
    for name, model in models.items():
        prefixes = ["", f"/models/{name}"] if len(models) == 1 else [f"/models/{name}"]
        for prefix in prefixes:
            paths |= dict(_paths(prefix, name, model))
    return paths


def components() -> dict[str, Any]:
    """Schemas that the paths refer to."""
    text, whole = {"type": "string"}, {"type": "integer"}
    optional = {"type": ["string", "null"]}
    problem = _object(
        {"field": optional, "row": {"type": ["integer", "null"]}, "rule": text, "why": text},
        "One thing that is wrong, where it is, and the rule that it breaks.",
    )
    error = _object({"kind": text, "message": text, "problems": {"type": "array", "items": _ref("Problem")}})
    error["properties"]["request_id"] = text
    chances = {"type": ["object", "null"], "additionalProperties": {"type": "number"}}
    prediction = _object(
        {"prediction_id": text, "prediction": {"type": ["string", "number"]}, "probabilities": chances}
    )
    marked = "true where the outcome of this row is to be found out, whatever the answer says; else left out"
    prediction["properties"] |= {"row_id": text, "explored": {"type": "boolean", "description": marked}}
    head = {"model": text, "version": whole, "request_id": text}
    one = _object({**head, **prediction["properties"]})
    one["required"] = [name for name in one["required"] if name not in ("row_id", "explored")]
    many = _object({**head, "predictions": {"type": "array", "items": _ref("Prediction")}})
    bare = _object({"predictions": {"type": "array"}, **head, "prediction_ids": {"type": "array", "items": text}})
    bare["properties"]["explored"] = {"type": "array", "items": {"type": "boolean"}}
    outcome = {"type": "string", "enum": ["new", "corrected", "confirmed", "outdated", "duplicate", "unknown"]}
    told = _object({"outcome": outcome})
    told["properties"] |= {"prediction_id": text, "row_id": text}
    return {
        "Problem": problem,
        "Refused": _object({"error": error}),
        "Prediction": prediction,
        "Answer": one,
        "Answers": many,
        "InvocationAnswer": bare,
        "Outcome": {
            **_object({"outcome": outcome}),
            "properties": {"outcome": outcome, "prediction_id": text, "row_id": text},
        },
    }


def row_schema(model: ServedModel) -> dict[str, Any]:
    """One row of a model, as JSON Schema."""
    properties = {column.name: _column(column) for column in model.columns}
    required = list(properties)
    if model.id_column is not None:
        named = {"type": ["string", "integer", "null"], "description": "your own name of the row"}
        properties.setdefault(model.id_column, named)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def row_example(model: ServedModel) -> dict[str, Any]:
    """A row that the model takes: as its stored requests usually are, else as its rules allow."""
    return dict(model.example or {column.name: example_by_rules(column) for column in model.columns})


def _paths(prefix: str, name: str, model: ServedModel | None) -> Iterator[tuple[str, Any]]:
    if model is not None:
        yield f"{prefix}/predict", {"post": _predict(prefix, name, model)}
        yield f"{prefix}/invocations", {"post": _invoke(prefix, name, model)}
    yield f"{prefix}/feedback", {"post": _feedback(prefix, name, model)}


def _predict(prefix: str, name: str, model: ServedModel) -> dict[str, Any]:
    row, example = row_schema(model), row_example(model)
    many = {**_object({"rows": {"type": "array", "items": row, "minItems": 1}}), "additionalProperties": False}
    content = {
        "application/json": {
            "schema": {"anyOf": [row, many, _by_column(row)], "x-row": row},
            "examples": {
                "one": {"summary": "one row", "value": example},
                "many": {"summary": "several rows", "value": {"rows": [example, example]}},
                "columns": {
                    "summary": "several rows, one array a column",
                    "value": {"columns": {name: [value, value] for name, value in example.items()}},
                },
            },
        },
        ARROW.decode(): {"schema": {"type": "string", "format": "binary"}},
        PARQUET.decode(): {"schema": {"type": "string", "format": "binary"}},
    }
    said = (
        f"Answers of {model.title}. A bare object is one row and is answered flat; `rows` holds several, and so does "
        "`columns`, whose arrays have the same length: the quicker form for many. Batches may "
        "come as an Arrow stream or a Parquet file, and are answered so where `Accept` says it."
    )
    answers = {"anyOf": [_ref("Answer"), _ref("Answers")]}
    return _operation(f"predict{prefix}", name, "One row or many", said, content, answers)


def _by_column(row: dict[str, Any]) -> dict[str, Any]:
    lists = {name: {"type": "array", "items": rule, "minItems": 1} for name, rule in row["properties"].items()}
    columns = {"type": "object", "properties": lists, "required": row["required"], "additionalProperties": False}
    return {**_object({"columns": columns}), "additionalProperties": False}


def _invoke(prefix: str, name: str, model: ServedModel) -> dict[str, Any]:
    example = row_example(model)
    split = {"columns": list(example), "data": [list(example.values())]}
    rows = {"type": "array", "items": {"type": "object"}}
    forms = {
        "dataframe_split": {"type": "object"},
        "dataframe_records": rows,
        "instances": {"type": ["array", "object"]},
    }
    content = {
        "application/json": {
            "schema": {"type": "object", "properties": forms},
            "examples": {
                "split": {"summary": "dataframe_split", "value": {"dataframe_split": split}},
                "records": {"summary": "dataframe_records", "value": {"dataframe_records": [example]}},
                "instances": {"summary": "instances", "value": {"instances": [example]}},
            },
        }
    }
    said = "What MLflow's scoring server takes, under the same rules as /predict."
    return _operation(
        f"invocations{prefix}", name, "As MLflow's scoring server", said, content, _ref("InvocationAnswer")
    )


def _feedback(prefix: str, name: str, model: ServedModel | None) -> dict[str, Any]:
    label = {"type": ["string", "number", "boolean"], "description": "what came true"}
    moment = {
        "type": "string",
        "format": "date-time",
        "description": "when it was known, with a time zone; now if left out",
    }
    properties = {
        "label": label,
        "prediction_id": {"type": ["string", "null"], "description": "from the answer; this or row_id"},
        "row_id": {"type": ["string", "integer", "null"], "description": "your own name of the row"},
        "at": moment,
        "extra": {"type": ["object", "null"], "description": "kept beside it, at most 2,000 bytes"},
    }
    one = {"type": "object", "properties": properties, "required": ["label"], "additionalProperties": False}
    many = {**_object({"feedback": {"type": "array", "items": one, "minItems": 1}}), "additionalProperties": False}
    example = _label_example(model)
    content = {
        "application/json": {
            "schema": {"anyOf": [one, many], "x-row": one},
            "examples": {
                "one": {"summary": "one label", "value": example},
                "many": {"summary": "several labels", "value": {"feedback": [example]}},
            },
        }
    }
    answers = {
        "anyOf": [_ref("Outcome"), _object({"feedback": {"type": "array", "items": _ref("Outcome")}})],
    }
    said = "Labels may come late, twice or corrected; the one of the latest moment counts."
    return _operation(f"feedback{prefix}", name, "What came true", said, content, answers)


def _label_example(model: ServedModel | None) -> dict[str, Any]:
    label = 1.0 if model is not None and model.task == "regression" else "yes"
    named = "row_id" if model is None or model.keeps_rows else "prediction_id"
    return {named: "4711", "label": model.classes[-1] if model is not None and model.classes else label}


def _operation(
    identity: str, tag: str, summary: str, description: str, content: Mapping[str, Any], answers: Mapping[str, Any]
) -> dict[str, Any]:
    refused = {"application/json": {"schema": _ref("Refused")}}
    responses: dict[str, Any] = {
        "200": {"description": "the answer", "content": {"application/json": {"schema": answers}}}
    }
    responses |= {status: {"description": why, "content": refused} for status, why in _ERRORS.items()}
    return {
        "operationId": identity.strip("/").replace("/", "_"),
        "tags": [tag],
        "summary": summary,
        "description": description,
        "requestBody": {"required": True, "content": dict(content)},
        "responses": responses,
    }


def _column(column: Column) -> dict[str, Any]:
    kind = _TYPES.get(column.type, "string")
    said: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    if column.min is not None:
        said["minimum"] = column.min
    if column.max is not None:
        said["maximum"] = column.max
    if column.type == "datetime":
        said["format"] = "date-time"
    if column.allowed is not None and column.strict:
        said["enum"] = [*column.allowed, *([None] if column.nullable else [])]
    return said


def _object(properties: dict[str, Any], description: str = "") -> dict[str, Any]:
    said: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    return {**said, "description": description} if description else said


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
