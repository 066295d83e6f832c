"""Tells those without a proxy how to reach services: what kube-dns and kube-proxy are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clew.api.service_addresses import ServiceAddresses, ServiceChanges, VirtualPort
from clew.compile.name_table import names_of
from clew.model.service import Endpoint, Health, Protocol, Service, ServiceKey
from clew.server.streams import until
from clew.snapshot.registry import Registry
from clew.snapshot.services import is_allocated

Changed = Callable[[], Awaitable[None]]
_Known = dict[ServiceKey, tuple[Service, tuple[Endpoint, ...]]]


def service_addresses(service: Service, endpoints: tuple[Endpoint, ...]) -> ServiceAddresses:
    """Return what there is to know of a service.

    Without the mesh nobody knows a ServiceEntry's names, and its own addresses are of the world
    outside: what is left of it are the addresses that the mesh has given out.
    """
    names = names_of(service, endpoints) if service.kubernetes else ()
    return ServiceAddresses(
        names={hostname: tuple(found) for hostname, found in names if found},
        virtual=tuple(a for a in service.addresses if service.kubernetes or is_allocated(a)),
        ports=tuple(
            VirtualPort(
                number=port.number,
                udp=port.protocol is Protocol.UDP,
                endpoints=tuple(
                    (e.address, e.port) for e in endpoints if _serves(e, port.name) and e.port
                ),
            )
            for port in service.ports
        ),
    )


def _serves(endpoint: Endpoint, port: str) -> bool:
    ready = endpoint.health is Health.HEALTHY
    return ready and endpoint.port_name == port and not endpoint.address.startswith("unix:")


def add_service_addresses(
    app: Starlette, registry: Callable[[], Registry], changed: Changed
) -> None:
    """Let the admin API stream how services are reached; ``changed`` returns when to look again."""

    async def stream(_request: Request) -> Response:
        found = until(app.state.closing, _follow(registry, changed))
        lines = (msgspec.json.encode(changes) + b"\n" async for changes in found)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    app.router.routes.append(Route("/v1/service-addresses", stream, methods=["GET"]))


async def _follow(
    registry: Callable[[], Registry], changed: Changed
) -> AsyncIterator[ServiceChanges]:
    """Yield all services, and then what differs."""
    seen: Registry | None = None
    told: _Known = {}
    while True:
        if seen is (now := registry()):
            await changed()
            continue
        known: _Known = {s.key: (s, now.endpoints_of(s.key)) for s in now.services.ordered}
        changes = _changes(told, known)
        if changes or seen is None:
            yield ServiceChanges(services=changes)
        seen, told = now, known


def _changes(told: _Known, known: _Known) -> dict[str, ServiceAddresses | None]:
    changes: dict[str, ServiceAddresses | None] = dict.fromkeys(
        map(_text, told.keys() - known.keys())
    )
    for key, (service, endpoints) in known.items():
        before = told.get(key)
        if before is None or before[0] is not service or before[1] is not endpoints:
            changes[_text(key)] = service_addresses(service, endpoints)
    return changes


def _text(key: ServiceKey) -> str:
    return f"{key.namespace}/{key.hostname}"
