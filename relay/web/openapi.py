"""The OpenAPI document of the admin API, made of the same table as the API itself."""

from functools import cache
from typing import Any

from relay.admin.answers import Schema, schema_of
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


@cache
def openapi(version: str) -> Schema:
    """Describe the API as OpenAPI 3.1, for the given version of the relay."""
    schemas: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        methods = paths.setdefault(f"/api/v1{operation.path}", {})
        methods[operation.method.lower()] = _described(operation, schemas)
    schemas[Problem.__name__]["required"] = ["type", "title", "status"]  # the rest may be left out
    return {
        "openapi": "3.1.0",
        "info": {"title": "Blaze Relay admin API", "version": version},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation, schemas: dict[str, Schema]) -> Schema:
    answer = schema_of(operation.answer, schemas, _AT)
    refusal = {"content": {PROBLEM_JSON: {"schema": schema_of(Problem, schemas, _AT)}}}
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
        return described | {"requestBody": _body(operation)}
    return described | {"parameters": _parameters(operation)}


def _body(operation: Operation) -> Schema:
    needed = [name for name, each in operation.parameters.items() if each.required]
    schema = {
        "type": "object",
        "properties": {name: each.schema for name, each in operation.parameters.items()},
        "required": needed,
        "additionalProperties": False,
        **operation.schema,
    }
    required = bool(needed or operation.schema)
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path" if name in operation.in_path else "query",
            "required": each.required,
            "schema": each.schema,
        }
        for name, each in operation.parameters.items()
    ]
