"""JSON Schema, as OpenAPI 3.1 speaks it."""

from typing import Any

import jsonschema


def check_schema(schema: dict[str, Any]) -> None:
    """Fail on what is no schema."""
    jsonschema.Draft202012Validator.check_schema(schema)


def check(value: object, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Fail on a value that is not as a schema of an OpenAPI document says."""
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)
