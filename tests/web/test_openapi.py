"""The OpenAPI document."""

import json
import re
from typing import Any

import pytest

from relay.admin.operations import OPERATIONS
from relay.admin.requests import RETRY
from relay.web.api import openapi
from tests.web.schemas import check_schema

DOCUMENT = openapi("1.2.3")


def references(part: Any) -> set[str]:
    match part:
        case dict():
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(references, part.values()))
        case list():
            return set().union(*map(references, part))
        case _:
            return set()


def test_it_is_openapi_of_this_version() -> None:
    """The head says what it is, and that a bearer token is needed."""
    assert "3.1.0" == DOCUMENT["openapi"]
    assert "1.2.3" == DOCUMENT["info"]["version"]
    assert [{"bearer": []}] == DOCUMENT["security"]
    assert "bearer" == DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"]


def test_it_is_json() -> None:
    """The document can be served as it is."""
    assert DOCUMENT == json.loads(json.dumps(DOCUMENT))


def test_every_operation_is_described() -> None:
    """The document has the operations of the table, and no other."""
    described = {
        (method.upper(), path.removeprefix("/api/v1"), operation["operationId"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }

    assert {(o.method, o.path, o.name) for o in OPERATIONS} == described


def test_every_reference_leads_somewhere() -> None:
    """No schema is missing."""
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}

    assert references(DOCUMENT) <= known


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_every_schema_is_a_schema(name: str) -> None:
    """Each is valid JSON Schema 2020-12, the dialect of OpenAPI 3.1."""
    check_schema(DOCUMENT["components"]["schemas"][name])


@pytest.mark.parametrize("path", list(DOCUMENT["paths"]))
def test_every_path_parameter_is_described(path: str) -> None:
    """What is in braces is a required parameter in the path."""
    for operation in DOCUMENT["paths"][path].values():
        parameters = operation.get("parameters", [])
        in_path = {p["name"] for p in parameters if p["in"] == "path" and p["required"]}
        assert set(re.findall(r"\{(\w+)\}", path)) == in_path


def test_a_body_has_what_is_read() -> None:
    """The names of its parts are those that are read, and nothing else is."""
    retry = DOCUMENT["paths"]["/api/v1/dead-letters/retry"]["post"]["requestBody"]
    schema = retry["content"]["application/json"]["schema"]
    assert set(RETRY) == set(schema["properties"])
    assert schema["additionalProperties"] is False
