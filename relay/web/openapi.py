"""The OpenAPI document of the admin API, made of the same table and models as the API itself."""

from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from relay.admin.answers import document
from relay.admin.operations import OPERATIONS, Operation
from relay.web.problem import PROBLEM_JSON, Problem

_AT = "#/components/schemas/"

_PROBLEMS = {
    "400": "The body is no JSON",
    "401": "The bearer token is missing or wrong",
    "404": "The journal does not know it, or not the bot or endpoint that is named",
    "409": "What is asked can't be, or the settings are refused: `mistakes` says why",
    "413": "The body is too large",
    "422": "A parameter is wrong; `mistakes` says which",
    "429": "Too many wrong tokens came from this address",
    "503": "The journal takes no reads or writes at the moment",
}

_TOO_SOON = {"429": "It was asked a moment ago, or too many wrong tokens came from this address"}

Schema = dict[str, Any]


@cache
def openapi(version: str) -> Schema:
    """Describe the API as OpenAPI 3.1, for the given version of the relay."""
    schemas, definitions = _schemas()
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"/api/v1{operation.path}", {})[operation.method.lower()] = _described(
            operation, schemas, definitions
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Blaze Relay admin API", "version": version},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> tuple[dict[tuple[Any, JsonSchemaMode], Schema], dict[str, Schema]]:
    asks = {operation.ask for operation in OPERATIONS}
    answers = {document(operation.answer) for operation in OPERATIONS} | {Problem}
    wanted: list[tuple[Any, JsonSchemaMode]] = [
        *((ask, "validation") for ask in sorted(asks, key=_named)),
        *((answer, "serialization") for answer in sorted(answers, key=_named)),
    ]
    references, definitions = models_json_schema(wanted, ref_template=f"{_AT}{{model}}")
    return references, definitions["$defs"]


def _named(model: type) -> str:
    return model.__name__


def _described(
    operation: Operation,
    references: dict[tuple[Any, JsonSchemaMode], Schema],
    definitions: dict[str, Schema],
) -> Schema:
    ask = references[operation.ask, "validation"]
    answer = references[document(operation.answer), "serialization"]
    refusal = {"content": {PROBLEM_JSON: {"schema": references[Problem, "serialization"]}}}
    problems = _PROBLEMS | _TOO_SOON if operation.by_receiver else _PROBLEMS
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": answer}}},
            **{status: {"description": why, **refusal} for status, why in problems.items()},
        },
    }
    if operation.in_body:
        body = {"content": {"application/json": {"schema": ask}}}
        return {**described, "requestBody": {"required": _needs_body(operation), **body}}
    model = definitions[ask["$ref"].removeprefix(_AT)]
    return {**described, "parameters": _parameters(operation, model)}


def _needs_body(operation: Operation) -> bool:
    """Say whether there is something that has to be asked."""
    try:
        operation.ask()
    except ValidationError:
        return True
    return False


def _parameters(operation: Operation, model: Schema) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path" if name in operation.in_path else "query",
            "required": name in model.get("required", ()),
            "schema": schema,
        }
        for name, schema in model.get("properties", {}).items()
    ]
