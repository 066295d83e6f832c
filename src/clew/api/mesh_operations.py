"""Operations that show the mesh: its services, its proxies, what is wrong."""

from __future__ import annotations

from clew.api.messages import ProblemList, ProxyList, Readiness
from clew.api.operation import EVENTS, LINES, TEXT, Operation
from clew.api.service_addresses import ServiceChanges
from clew.api.views import Overview, ProxyDetail, ServiceList, ServiceView

OPERATIONS = (
    Operation(
        method="get", path="/ready", summary="Whether it serves.", answer=Readiness, also=(503,)
    ),
    Operation(method="get", path="/v1/proxies", summary="All proxies.", answer=ProxyList),
    Operation(method="get", path="/v1/problems", summary="What is wrong.", answer=ProblemList),
    Operation(
        method="get",
        path="/v1/service-addresses",
        summary="How services are reached without a proxy, and each change of that.",
        answer=ServiceChanges,
        media_type=LINES,
    ),
    Operation(method="get", path="/v1/overview", summary="The mesh at a glance.", answer=Overview),
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
        media_type=EVENTS,
    ),
)
