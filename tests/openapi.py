"""Access to openapi.yaml: its operations, its schemas, and every response that it documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from docsend import sandbox as sandbox_package

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = yaml.safe_load((Path(sandbox_package.__file__).parent / "openapi.yaml").read_text("utf-8"))

PREFIX = "urn:docsend:problem:"
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE")


@dataclass(frozen=True)
class Operation:
    """One operation of openapi.yaml; `pointer` is its JSON pointer."""

    method: str
    path: str
    pointer: str


def _operations() -> Iterator[tuple[str, Operation]]:
    for path, item in CONTRACT["paths"].items():
        for method in (name.lower() for name in METHODS if name.lower() in item):
            pointer = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
            yield item[method]["operationId"], Operation(method.upper(), path, pointer)


OPERATIONS = dict(_operations())
REGISTRY: Registry[Any] = Registry().with_resource("urn:contract", DRAFT202012.create_resource(CONTRACT))


def resolve(pointer: str) -> tuple[str, Any]:
    """Follow a JSON pointer and any $ref at its end; return the final pointer and the value there."""
    node = CONTRACT
    for part in pointer.split("/")[1:]:
        node = node[part.replace("~1", "/").replace("~0", "~")]
    if "$ref" in node:
        return resolve(node["$ref"].removeprefix("#"))
    return pointer, node


def schema_errors(pointer: str, value: object, *, closed: bool = False) -> list[str]:
    """Return why a value does not match a schema; with `closed`, unknown members are errors, too."""
    schema = {"$ref": f"urn:contract#{pointer}"} | ({"unevaluatedProperties": False} if closed else {})
    validator = Draft202012Validator(
        schema, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def problem_codes(pointer: str) -> set[str]:
    """Return the problem codes of the schema of a response: of one problem, or of each in its oneOf."""
    _, schema = resolve(pointer)
    pointers = [one["$ref"].removeprefix("#") for one in schema.get("oneOf", ())] or [pointer]
    return {resolve(one)[1]["properties"]["type"]["const"].removeprefix(PREFIX) for one in pointers}


def documented_responses() -> Iterator[tuple[str, int, str | None]]:
    """Yield every response of openapi.yaml: operation, status, and the code if it is a problem."""
    for name, operation in OPERATIONS.items():
        for status in resolve(operation.pointer)[1]["responses"]:
            pointer, response = resolve(f"{operation.pointer}/responses/{status}")
            if "application/problem+json" in response.get("content", {}):
                codes = problem_codes(f"{pointer}/content/application~1problem+json/schema")
                yield from ((name, int(status), code) for code in codes)
            else:
                yield name, int(status), None
