"""Operations that show traffic: counts, requests as they happen, traces."""

from __future__ import annotations

from typing import Any

from clew.api.explanations import ExplanationList
from clew.api.operation import EVENTS, LINES, NUMBER, TEXT, Operation
from clew.api.runtime_settings import LogLevelAnswer, LogLevelRequest
from clew.api.tap import TapEvent
from clew.api.traces import Trace, TraceList
from clew.api.traffic import SeriesList, TrafficGraph

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
        media_type=EVENTS,
        query=_TRAFFIC,
        errors=(400,),
    ),
    Operation(
        method="get",
        path="/v1/tap",
        summary="A line per request of the mesh, as it happens, for so many seconds.",
        answer=TapEvent,
        media_type=LINES,
        query=(
            *((name, TEXT) for name in ("from", "to", "path", "status", "minDuration")),
            ("seconds", NUMBER),
        ),
        errors=(400, 404),
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
)
