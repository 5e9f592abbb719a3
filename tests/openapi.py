"""openapi.yaml, read: its calls, its schemas, and every answer that it documents."""

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
    """One call of openapi.yaml; `pointer` leads to it."""

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


def resolved(pointer: str) -> tuple[str, Any]:
    """Follow a JSON pointer, and the $ref that may stand at its end; give both where it arrived."""
    node = CONTRACT
    for part in pointer.split("/")[1:]:
        node = node[part.replace("~1", "/").replace("~0", "~")]
    if "$ref" in node:
        return resolved(node["$ref"].removeprefix("#"))
    return pointer, node


def faults(pointer: str, value: object, *, closed: bool = False) -> list[str]:
    """What keeps a value from fitting the schema; `closed` lets it have no members but the named ones."""
    schema = {"$ref": f"urn:contract#{pointer}"} | ({"unevaluatedProperties": False} if closed else {})
    validator = Draft202012Validator(
        schema, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def problems_of(pointer: str) -> set[str]:
    """The codes of the problems that the schema of an answer knows: of one, or of each in its oneOf."""
    _, schema = resolved(pointer)
    pointers = [one["$ref"].removeprefix("#") for one in schema.get("oneOf", ())] or [pointer]
    return {resolved(one)[1]["properties"]["type"]["const"].removeprefix(PREFIX) for one in pointers}


def documented() -> Iterator[tuple[str, int, str | None]]:
    """Every answer that openapi.yaml knows: the call, its status, the code if it is a problem."""
    for name, operation in OPERATIONS.items():
        for status in resolved(operation.pointer)[1]["responses"]:
            pointer, response = resolved(f"{operation.pointer}/responses/{status}")
            if "application/problem+json" in response.get("content", {}):
                codes = problems_of(f"{pointer}/content/application~1problem+json/schema")
                yield from ((name, int(status), code) for code in codes)
            else:
                yield name, int(status), None
