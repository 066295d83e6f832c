"""The admin API as an OpenAPI document, made of the messages themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

import clew
from clew.api import mesh_operations, object_operations, security_operations, traffic_operations
from clew.api.messages import ErrorReply
from clew.api.operation import JSON, TEXT, Operation
from clew.model.kinds import KINDS

_REFERENCE = "#/components/schemas/{name}"

OPERATIONS = (
    *mesh_operations.OPERATIONS,
    *object_operations.OPERATIONS,
    *traffic_operations.OPERATIONS,
    *security_operations.OPERATIONS,
    Operation(method="get", path="/v1/openapi.json", summary="This document."),
)


def openapi(served: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the document of those operations, as (method, path), that are ``served``."""
    wanted = frozenset(served)
    operations = [each for each in OPERATIONS if (each.method, each.path) in wanted]
    messages = {t for each in operations for t in (each.answer, each.body) if _is_message(t)}
    ordered = sorted({*messages, ErrorReply}, key=lambda message: message.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clew",
            "version": clew.__version__,
            "description": "JSON over HTTP: on a Unix socket for the mesh's owner, on TCP for "
            "those with a token or a client certificate.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    named = re.findall(r"{(\w+)}", operation.path)
    parameters = [
        *(
            {"name": n, "in": "path", "required": True, "schema": _PARTS.get(n, _PART)}
            for n in named
        ),
        *({"name": name, "in": "query", "schema": schema} for name, schema in operation.query),
    ]
    answers = {
        str(status): {
            "description": "the answer",
            "content": {operation.media_type: {"schema": _schema(operation.answer)}},
        }
        for status in (operation.status, *operation.also)
    }
    # 401, 403 and 429 come from in front of the API, on TCP.
    for status in (*operation.errors, 401, 403, 429):
        answers.setdefault(str(status), _ERROR)
        # A refusal may be of the request, or of what it asks for.
        if status in operation.also:
            answers[str(status)] = {
                "description": "refused",
                "content": {
                    JSON: {"schema": {"anyOf": [_schema(operation.answer), _schema(ErrorReply)]}}
                },
            }
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "parameters": parameters,
        "responses": answers,
    }
    if operation.manifests:
        content = {kind: {"schema": TEXT} for kind in ("application/yaml",)}
        found["requestBody"] = {"content": content}
    elif operation.body is not None:
        content = {JSON: {"schema": _schema(operation.body)}}
        found["requestBody"] = {"content": content}
    return found


_PART = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_PARTS = {
    "group": {"type": "string", "enum": sorted({kind.group or "core" for kind in KINDS})},
    "kind": {"type": "string", "enum": sorted({kind.kind for kind in KINDS})},
}


def _is_message(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _schema(kind: Any) -> dict[str, Any]:
    if _is_message(kind):
        return {"$ref": _REFERENCE.format(name=kind.__name__)}
    return {"type": "string"} if kind is None else {"type": "object"}


_ERROR = {"description": "refused", "content": {JSON: {"schema": _schema(ErrorReply)}}}


def _name(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.removeprefix("/v1/"))
    return "_".join((operation.method, *words))
