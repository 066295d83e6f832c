"""The part of the admin API that says who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clew.config.structure import did_you_mean
from clew.model.service import Protocol, Service, ServicePort
from clew.server.authorization import (
    NOBODY,
    Asked,
    Caller,
    callers,
    callers_named,
    matrix,
    permission,
)
from clew.server.replies import BadRequest, number, reply, text_of
from clew.server.service_views import find_service
from clew.snapshot.snapshot import MeshSnapshot
from clew.stores.store import NotFound

# Who stands outside of the mesh, as `from`.
OUTSIDE = "-"


@dataclass(frozen=True, slots=True)
class AuthorizationApi:
    """Its routes. Everything is worked out when somebody asks."""

    snapshot: Callable[[], MeshSnapshot]

    def routes(self) -> list[Route]:
        return [
            Route("/v1/authorization", self._permission, methods=["GET"]),
            Route("/v1/authorization/matrix", self._matrix, methods=["GET"]),
        ]

    async def _permission(self, request: Request) -> Response:
        """``from``, ``to`` and ``namespace``, and the request: ``port``, ``method``, ``path``,
        ``header`` (``name: value``) and ``claim`` (``name=value``), these two as often as needed.
        """
        snapshot = self.snapshot()
        namespace = text_of(request, "namespace") or "default"
        caller = _caller(snapshot, text_of(request, "from"), namespace)
        service = _service(snapshot, text_of(request, "to"), namespace)
        port = _port(service, number(request, "port"))
        return reply(permission(snapshot, caller, service, port, _asked(request)))

    async def _matrix(self, request: Request) -> Response:
        """``namespace``: of the services, "" for all."""
        snapshot, namespace = self.snapshot(), text_of(request, "namespace")
        ordered = sorted(snapshot.services.ordered, key=lambda each: each.hostname)
        services = [each for each in ordered if namespace in ("", each.namespace)]
        return reply(matrix(snapshot, services))


def _caller(snapshot: MeshSnapshot, name: str, namespace: str) -> Caller:
    if name == OUTSIDE:
        return NOBODY
    found = callers_named(snapshot, name, namespace)
    if len(found) == 1:
        return found[0]
    known = ", ".join(map(str, found or callers(snapshot))) or "none"
    if found:
        raise BadRequest(f'"{name}" has several service accounts; name one of: {known}')
    raise NotFound(
        f'no workload with a proxy is called "{name}" in {namespace}; there are: {known}'
    )


def _service(snapshot: MeshSnapshot, name: str, namespace: str) -> Service:
    place, slash, host = name.rpartition("/")
    where = place if slash else namespace
    if (found := find_service(snapshot, where, host)) is not None:
        return found
    elsewhere = snapshot.services.by_host.get(host, ())
    if len(elsewhere) == 1:
        return elsewhere[0]
    known = {each.partition(".")[0] for each in snapshot.services.by_host}
    hint = f"; {meant}" if (meant := did_you_mean(host, sorted(known))) else ""
    raise NotFound(f'there is no service "{host}" in the namespace {where}{hint}')


def _port(service: Service, wanted: int | None) -> ServicePort:
    ports = [each for each in service.ports if each.protocol is not Protocol.UDP]
    found = [each for each in ports if wanted in (None, each.number)]
    if len(found) == 1:
        return found[0]
    numbers = ", ".join(str(each.number) for each in ports) or "none"
    problem = "name the port" if wanted is None else f"{service.hostname} has no port {wanted}"
    raise BadRequest(f"{problem}; its ports are: {numbers}")


def _asked(request: Request) -> Asked:
    claims: dict[str, Any] = {}
    for name, value in _pairs(request, "claim", "="):
        claims[name] = [*claims[name], value] if name in claims else [value]
    return Asked(
        method=text_of(request, "method") or "GET",
        path=text_of(request, "path") or "/",
        headers=dict(_pairs(request, "header", ":")),
        claims={name: v[0] if len(v) == 1 else v for name, v in claims.items()},
        source_ip=text_of(request, "ip"),
    )


def _pairs(request: Request, name: str, separator: str) -> list[tuple[str, str]]:
    found = []
    for text in request.query_params.getlist(name):
        key, between, value = text.partition(separator)
        if not between or not key.strip():
            raise BadRequest(f'{name} is of the form name{separator}value, not "{text}"')
        found.append((key.strip(), value.strip()))
    return found
