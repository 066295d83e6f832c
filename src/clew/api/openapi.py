"""The admin API as an OpenAPI document, made of the messages themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

import clew
from clew.api.access import ApiTokenList, ApiTokenRequest, CreatedApiToken
from clew.api.authority import (
    AuthorityStatus,
    CreatedToken,
    RotationRequest,
    TokenList,
    TokenRequest,
)
from clew.api.authorization import Matrix, Permission
from clew.api.explanations import ExplanationList
from clew.api.messages import (
    Applied,
    ApplyReport,
    Changes,
    ErrorReply,
    History,
    ObjectList,
    ObjectStatus,
    ProblemList,
    ProxyList,
    Readiness,
    ServiceChanges,
)
from clew.api.runtime_settings import LogLevelAnswer, LogLevelRequest
from clew.api.tap import TapEvent
from clew.api.traces import Trace, TraceList
from clew.api.traffic import SeriesList, TrafficGraph
from clew.api.views import (
    KindList,
    Overview,
    ProxyDetail,
    RecentChanges,
    References,
    ServiceList,
    ServiceView,
)
from clew.model.kinds import KINDS

_JSON, _LINES, _EVENTS = "application/json", "application/x-ndjson", "text/event-stream"
_REFERENCE = "#/components/schemas/{name}"

TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
YES_OR_NO = {"type": "string", "enum": ["true", "false"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. ``answer`` and ``body`` are messages, or JSON of any form (dict);
    ``manifests``: the body is YAML or JSON of Kubernetes objects. ``errors``: statuses that
    requests of the right form may meet.
    """

    method: str
    path: str
    summary: str
    answer: Any = dict
    status: int = 200
    also: tuple[int, ...] = ()
    media_type: str = _JSON
    query: tuple[tuple[str, dict[str, Any]], ...] = ()
    body: Any = None
    manifests: bool = False
    errors: tuple[int, ...] = ()


_OBJECT = "/v1/objects/{group}/{kind}/{namespace}/{name}"
_WRITE = (("author", TEXT), ("dryRun", YES_OR_NO))
_SECRETS = ("secrets", {"type": "string", "enum": ["values"]})
_WRONG = (400, 404, 409, 413)
_TRAFFIC = (("window", NUMBER), ("namespace", TEXT))
_BY = {"type": "string", "enum": ["version", "source", "destination", "service"]}
_ENDS = ("source", "service", "destination")
_SOME_TRACES: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, TEXT) for name in ("service", "operation", "status", "since", "until")),
    *((name, TEXT) for name in ("minDuration", "maxDuration")),
    ("limit", NUMBER),
)
_OF_JAEGER: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, TEXT) for name in ("service", "operation", "tags", "minDuration", "maxDuration")),
    *((name, NUMBER) for name in ("start", "end", "limit")),
)

OPERATIONS = (
    Operation(
        method="get", path="/ready", summary="Whether it serves.", answer=Readiness, also=(503,)
    ),
    Operation(method="get", path="/v1/proxies", summary="All proxies.", answer=ProxyList),
    Operation(method="get", path="/v1/problems", summary="What is wrong.", answer=ProblemList),
    Operation(
        method="get",
        path="/v1/objects",
        summary="The objects of all or some kinds.",
        answer=ObjectList,
        query=(("kind", TEXT), ("namespace", TEXT), ("labelSelector", TEXT), _SECRETS),
        errors=(400,),
    ),
    Operation(
        method="get", path=_OBJECT, summary="One object.", query=(_SECRETS,), errors=(400, 404)
    ),
    Operation(
        method="put",
        path=_OBJECT,
        summary="Create or replace one object.",
        answer=Applied,
        also=(201, 409, 422),
        query=(*_WRITE, ("file", TEXT)),
        manifests=True,
        errors=(400, 404, 405, 413),
    ),
    Operation(
        method="delete",
        path=_OBJECT,
        summary="Delete one object.",
        answer=Applied,
        query=(*_WRITE, ("revision", NUMBER)),
        errors=(400, 404, 405, 409),
    ),
    Operation(
        method="get",
        path=f"{_OBJECT}/status",
        summary="Whether an object is in force; with wait (seconds), once that is settled.",
        answer=ObjectStatus,
        query=(("wait", NUMBER),),
        errors=(400, 404),
    ),
    Operation(
        method="put",
        path=f"{_OBJECT}/status",
        summary="Replace the status of an object.",
        body=dict,
        errors=(*_WRONG, 405),
    ),
    Operation(
        method="get",
        path=f"{_OBJECT}/history",
        summary="All changes of an object, newest first.",
        answer=History,
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path=f"{_OBJECT}/references",
        summary="What an object names, and what names it.",
        answer=References,
        errors=(400, 404),
    ),
    Operation(
        method="post",
        path=f"{_OBJECT}/rollback",
        summary="Bring an earlier revision of an object back.",
        answer=Applied,
        also=(201, 409, 422),
        query=(*_WRITE, ("revision", NUMBER)),
        errors=(400, 404, 405),
    ),
    Operation(
        method="post",
        path="/v1/apply",
        summary="Create or replace objects, each on its own.",
        answer=ApplyReport,
        query=(*_WRITE, ("namespace", TEXT), ("file", TEXT)),
        manifests=True,
        errors=(400, 405, 413),
    ),
    Operation(
        method="get",
        path="/v1/watch",
        summary="A line per batch of changes, for as long as both sides stay.",
        answer=Changes,
        media_type=_LINES,
        query=(("since", NUMBER), ("kind", TEXT), _SECRETS),
        errors=(400,),
    ),
    Operation(
        method="get",
        path="/v1/service-addresses",
        summary="How services are reached without a proxy, and each change of that.",
        answer=ServiceChanges,
        media_type=_LINES,
    ),
    Operation(method="get", path="/v1/overview", summary="The mesh at a glance.", answer=Overview),
    Operation(
        method="get",
        path="/v1/changes",
        summary="The newest changes of all objects.",
        answer=RecentChanges,
        query=(("limit", NUMBER),),
        errors=(400,),
    ),
    Operation(method="get", path="/v1/kinds", summary="All kinds of objects.", answer=KindList),
    Operation(
        method="get",
        path="/v1/schema/{group}/{kind}",
        summary="The JSON Schema of a kind.",
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path="/v1/traffic",
        summary="Who calls whom, how much and how well, in the last window (seconds).",
        answer=TrafficGraph,
        query=_TRAFFIC,
        errors=(400,),
    ),
    Operation(
        method="get",
        path="/v1/traffic/series",
        summary="Traffic over time.",
        answer=SeriesList,
        query=(*_TRAFFIC, ("step", NUMBER), ("by", _BY), *((e, TEXT) for e in _ENDS)),
        errors=(400,),
    ),
    Operation(
        method="get",
        path="/v1/traffic/events",
        summary="The traffic graph as events, whenever there is something new.",
        answer=TrafficGraph,
        media_type=_EVENTS,
        query=_TRAFFIC,
        errors=(400,),
    ),
    Operation(
        method="get",
        path="/v1/tap",
        summary="A line per request of the mesh, as it happens, for so many seconds.",
        answer=TapEvent,
        media_type=_LINES,
        query=(
            *((name, TEXT) for name in ("from", "to", "path", "status", "minDuration")),
            ("seconds", NUMBER),
        ),
        errors=(400,),
    ),
    Operation(
        method="post",
        path="/v1/log-levels",
        summary="What a workload's proxies log, for so many seconds.",
        answer=LogLevelAnswer,
        body=LogLevelRequest,
        errors=(400, 404, 413),
    ),
    Operation(
        method="get",
        path="/v1/proxies/{node}/explanation",
        summary="Why a request failed, by what the proxy's access log says of it.",
        answer=ExplanationList,
        query=tuple((n, TEXT) for n in ("flags", "details", "route", "cluster", "authority")),
        errors=(404,),
    ),
    Operation(
        method="get",
        path="/v1/traces",
        summary="Traces of the last hours, the newest first.",
        answer=TraceList,
        query=_SOME_TRACES,
        errors=(400,),
    ),
    Operation(
        method="post",
        path="/v1/traces",
        summary="Take spans: OTLP over HTTP, as protobuf or JSON.",
        body=dict,
        errors=(400, 413, 415),
    ),
    Operation(
        method="get",
        path="/v1/traces/{id}",
        summary="One trace, span by span.",
        answer=Trace,
        errors=(404,),
    ),
    Operation(
        method="get", path="/api/services", summary="As Jaeger: the services that have spans."
    ),
    Operation(
        method="get",
        path="/api/services/{service}/operations",
        summary="As Jaeger: the names of a service's spans.",
    ),
    Operation(
        method="get",
        path="/api/operations",
        summary="As Jaeger: the names of a service's spans, as objects.",
        query=(("service", TEXT),),
    ),
    Operation(
        method="get",
        path="/api/traces",
        summary="As Jaeger: traces of a service.",
        query=_OF_JAEGER,
        also=(400,),
    ),
    Operation(method="get", path="/api/traces/{id}", summary="As Jaeger: one trace.", also=(404,)),
    Operation(method="get", path="/v1/services", summary="All services.", answer=ServiceList),
    Operation(
        method="get",
        path="/v1/services/{namespace}/{host}",
        summary="One service, as clients of a namespace find it.",
        answer=ServiceView,
        query=(("from", TEXT),),
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path="/v1/proxies/{node}",
        summary="One proxy.",
        answer=ProxyDetail,
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path="/v1/proxies/{node}/resources/{type}/{name}",
        summary="One resource of a proxy, as Envoy has it.",
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path="/v1/events",
        summary="A sign whenever something may look different.",
        answer=None,
        media_type=_EVENTS,
    ),
    Operation(
        method="get",
        path="/v1/authorization",
        summary="Whether a workload may send a request to a service, and which rule says so.",
        answer=Permission,
        query=(
            *((name, TEXT) for name in ("from", "to", "namespace", "method", "path")),
            ("port", NUMBER),
            *((name, {"type": "array", "items": TEXT}) for name in ("header", "claim")),
        ),
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path="/v1/authorization/matrix",
        summary="Who may call whom.",
        answer=Matrix,
        query=(("namespace", TEXT),),
    ),
    Operation(
        method="get",
        path="/v1/authority",
        summary="The certificate authority.",
        answer=AuthorityStatus,
    ),
    Operation(
        method="post",
        path="/v1/authority/rotation",
        summary="Begin to change roots.",
        answer=AuthorityStatus,
        body=RotationRequest,
        errors=(400, 409, 413),
    ),
    Operation(method="get", path="/v1/tokens", summary="Join tokens.", answer=TokenList),
    Operation(
        method="post",
        path="/v1/tokens",
        summary="Make a join token for a host.",
        answer=CreatedToken,
        status=201,
        body=TokenRequest,
        errors=(400, 413),
    ),
    Operation(
        method="delete", path="/v1/tokens/{id}", summary="Revoke a join token.", errors=(404,)
    ),
    Operation(
        method="get", path="/v1/api-tokens", summary="Tokens for this API.", answer=ApiTokenList
    ),
    Operation(
        method="post",
        path="/v1/api-tokens",
        summary="Make a token for this API on TCP.",
        answer=CreatedApiToken,
        status=201,
        body=ApiTokenRequest,
        errors=(400, 413),
    ),
    Operation(
        method="delete",
        path="/v1/api-tokens/{id}",
        summary="Revoke a token for this API.",
        errors=(404,),
    ),
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
                    _JSON: {"schema": {"anyOf": [_schema(operation.answer), _schema(ErrorReply)]}}
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
        content = {_JSON: {"schema": _schema(operation.body)}}
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


_ERROR = {"description": "refused", "content": {_JSON: {"schema": _schema(ErrorReply)}}}


def _name(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.removeprefix("/v1/"))
    return "_".join((operation.method, *words))
