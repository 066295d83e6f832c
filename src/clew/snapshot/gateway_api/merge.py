"""Routes that share a listener and a host, or a mesh host, as one VirtualService each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from clew.model.base import ObjectMeta
from clew.model.route_semantics import GATEWAY, PARENTS, ROUTE_SEMANTICS
from clew.model.virtual_service import (
    HTTPMatchRequest,
    HTTPRoute,
    L4MatchAttributes,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
    VirtualServiceSpec,
)
from clew.snapshot.gateway_api.attachment import Attachment, Route, hostnames_of
from clew.snapshot.gateway_api.gateways import GENERATED, ISTIO_API
from clew.snapshot.gateway_api.http_matches import precedence
from clew.snapshot.hosts import covers, overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The share that one route has in a VirtualService."""

    route: Route
    name: str
    gateway: str
    host: str
    rules: tuple[HTTPRoute, ...]
    export_to: tuple[str, ...] = ()


def http_parts(
    route: Route,
    attachments: Iterable[Attachment],
    for_gateways: tuple[HTTPRoute, ...],
    for_mesh: tuple[HTTPRoute, ...],
) -> Iterator[Part]:
    """Yield a part for each listener and hostname, and for each host of the mesh."""
    seen: set[str] = set()
    for each in attachments:
        if each.problem is not None:
            continue
        rules = for_mesh if each.is_mesh else for_gateways
        hosts = each.hosts if each.is_mesh else hostnames_of(route) or ("*",)
        place = _mesh_place(route, each.port) if each.is_mesh else each.gateway.replace("/", "~")
        for host in hosts if rules else ():
            if host in each.taken:
                continue
            name = f"{place}~{host}"
            if name not in seen:
                seen.add(name)
                yield Part(
                    route=route,
                    name=name,
                    gateway=each.gateway,
                    host=host,
                    rules=tuple(_at_port(rule, each.port) for rule in rules),
                    export_to=export_of(route, each),
                )


def _mesh_place(route: Route, port: int | None) -> str:
    return route.metadata.namespace if port is None else f"{route.metadata.namespace}~{port}"


def _at_port(rule: HTTPRoute, port: int | None) -> HTTPRoute:
    if port is None:
        return rule
    matches = rule.match or (HTTPMatchRequest(),)
    with_port = tuple(msgspec.structs.replace(match, port=port) for match in matches)
    return msgspec.structs.replace(rule, match=with_port)


def export_of(route: Route, attachment: Attachment) -> tuple[str, ...]:
    """For whom a mesh route is: for all clients if it lies beside the service, else for its own.

    Source: Gateway API for mesh: producer and consumer routes.
    """
    if not attachment.is_mesh:
        return ("*",)
    reference = attachment.reference
    own = route.metadata.namespace
    return ("*",) if (reference.namespace or own) == own else (".",)


def merged(parts: Iterable[Part]) -> Iterator[VirtualService]:
    """Yield a VirtualService for each name; of equally specific matches the oldest goes first."""
    by_name: dict[str, list[Part]] = {}
    for part in sorted(parts, key=lambda part: _age(part.route)):
        by_name.setdefault(part.name, []).append(part)
    for name, group in by_name.items():
        rules = [rule for part in group for rule in part.rules]
        first = group[0]
        yield _virtual_service(
            name,
            tuple(dict.fromkeys(parent_of(part.route) for part in group)),
            first.route,
            VirtualServiceSpec(
                hosts=(first.host,),
                gateways=(first.gateway,),
                http=tuple(sorted(rules, key=precedence)),
                export_to=first.export_to,
            ),
        )


def _age(route: Route) -> tuple[str, str, str]:
    meta = route.metadata
    return (meta.creation_timestamp, meta.namespace, meta.name)


def parent_of(route: Route) -> str:
    return f"{route.kind}/{route.metadata.name}.{route.metadata.namespace}"


def l4_virtual_service(
    route: Route,
    position: int,
    attachment: Attachment,
    destinations: Mapping[int, tuple[RouteDestination, ...]],
) -> VirtualService:
    """Return a TCPRoute, TLSRoute or UDPRoute at one parent. ``destinations``: by position of the
    rule.

    The rules of a UDPRoute are those of a gateway for which all that comes is UDP.
    """
    hosts = attachment.hosts if attachment.is_mesh else hostnames_of(route) or ("*",)
    short = route.kind.removesuffix("Route").lower()
    port = attachment.port if attachment.is_mesh else None
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    if short == "tls":
        names = _server_names(route, attachment) or hosts
        match = TLSMatchAttributes(sni_hosts=names, port=port)
        tls = tuple(TLSRoute(match=(match,), route=to) for to in destinations.values())
    else:
        at = (L4MatchAttributes(port=port),) if port is not None else ()
        tcp = tuple(TCPRoute(match=at, route=to) for to in destinations.values())
    return _virtual_service(
        f"{route.metadata.name}~{short}~{position}~{GENERATED}",
        (parent_of(route),),
        route,
        VirtualServiceSpec(
            hosts=hosts,
            gateways=(attachment.gateway,),
            tls=tls,
            tcp=tcp,
            export_to=export_of(route, attachment),
        ),
    )


def _server_names(route: Route, attachment: Attachment) -> tuple[str, ...]:
    """Return the names that both the route and its listener are for."""
    wanted, listening = hostnames_of(route), attachment.listening
    host = listening.listener.hostname if listening is not None else None
    if not host or not wanted:
        return wanted or ((host,) if host else ())
    both = (name if covers(host, name) else host for name in wanted if overlap(host, name))
    return tuple(dict.fromkeys(both))


def _virtual_service(
    name: str, parents: tuple[str, ...], route: Route, spec: VirtualServiceSpec
) -> VirtualService:
    meta = route.metadata
    return VirtualService(
        api_version=ISTIO_API,
        kind="VirtualService",
        metadata=ObjectMeta(
            name=name,
            namespace=meta.namespace,
            annotations={PARENTS: ",".join(parents), ROUTE_SEMANTICS: GATEWAY},
            creation_timestamp=meta.creation_timestamp,
        ),
        spec=spec,
    )
