"""VirtualServices as the compiler wants them: names resolved, delegates merged, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from clew.model.mesh_config import MeshConfig
from clew.model.names import short_to_fqdn
from clew.model.virtual_service import (
    Destination,
    HTTPMatchRequest,
    HTTPRoute,
    TCPRoute,
    TLSRoute,
    VirtualService,
)
from clew.snapshot.export import exported_to, visible
from clew.snapshot.services import DOMAIN

L4Route = TypeVar("L4Route", TLSRoute, TCPRoute)
MESH = "mesh"
_DELEGATED = (
    "rewrite",
    "direct_response",
    "redirect",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirror_percentage",
    "cors_policy",
    "headers",
)


def destinations(vs: VirtualService) -> set[str]:
    """Return every host that the routes send anything to."""
    http = {d.destination.host for route in vs.spec.http for d in route.route}
    mirrors = {m.host for route in vs.spec.http for m in _mirrors(route)}
    tls = {d.destination.host for r in vs.spec.tls for d in r.route}
    tcp = {d.destination.host for r in vs.spec.tcp for d in r.route}
    return http | mirrors | tls | tcp


def _mirrors(route: HTTPRoute) -> Iterator[Destination]:
    if route.mirror is not None:
        yield route.mirror
    yield from (m.destination for m in route.mirrors)


def full_names(vs: VirtualService) -> VirtualService:
    """Return the rule with hosts as full names and gateways as ``namespace/name`` or ``mesh``."""
    namespace, spec = vs.metadata.namespace, vs.spec

    def full(host: str) -> str:
        return short_to_fqdn(host, namespace, DOMAIN)

    def to(destination: Destination) -> Destination:
        return msgspec.structs.replace(destination, host=full(destination.host))

    def sent(route: HTTPRoute) -> HTTPRoute:
        return msgspec.structs.replace(
            route,
            route=tuple(
                msgspec.structs.replace(d, destination=to(d.destination)) for d in route.route
            ),
            mirror=to(route.mirror) if route.mirror else None,
            mirrors=tuple(
                msgspec.structs.replace(m, destination=to(m.destination)) for m in route.mirrors
            ),
            match=tuple(_match(m, namespace) for m in route.match),
        )

    def l4(route: L4Route) -> L4Route:
        sent_to = tuple(
            msgspec.structs.replace(d, destination=to(d.destination)) for d in route.route
        )
        matches = tuple(
            msgspec.structs.replace(m, gateways=gateway_names(m.gateways, namespace))
            for m in route.match
        )
        return msgspec.structs.replace(route, route=sent_to, match=matches)

    return msgspec.structs.replace(
        vs,
        spec=msgspec.structs.replace(
            spec,
            hosts=tuple(full(host) for host in spec.hosts),
            gateways=gateway_names(spec.gateways, namespace) or (MESH,),
            http=tuple(sent(route) for route in spec.http),
            tls=tuple(l4(route) for route in spec.tls),
            tcp=tuple(l4(route) for route in spec.tcp),
        ),
    )


def gateway_names(names: Sequence[str], namespace: str) -> tuple[str, ...]:
    """``bookinfo`` → ``default/bookinfo``; ``mesh`` and ``ns/name`` stay."""
    return tuple(
        n if n == MESH or "/" in n else f"{namespace}/{n.partition('.')[0]}" for n in names
    )


def _match(match: HTTPMatchRequest, namespace: str) -> HTTPMatchRequest:
    return msgspec.structs.replace(match, gateways=gateway_names(match.gateways, namespace))


def with_delegates(
    root: VirtualService, delegates: Mapping[tuple[str, str], VirtualService], mesh: MeshConfig
) -> VirtualService:
    """Return the root with the routes of its visible delegates in place of the references."""
    if not any(route.delegate for route in root.spec.http):
        return root
    routes: list[HTTPRoute] = []
    for route in root.spec.http:
        if route.delegate is None:
            routes.append(route)
            continue
        own = root.metadata.namespace
        found = delegates.get((route.delegate.namespace or own, route.delegate.name))
        if found is not None and visible(
            exported_to(
                found.spec.export_to,
                found.metadata.namespace,
                mesh.default_virtual_service_export_to,
            ),
            own,
        ):
            routes += [m for leaf in found.spec.http if (m := _merged(route, leaf)) is not None]
    return msgspec.structs.replace(
        root, spec=msgspec.structs.replace(root.spec, http=tuple(routes))
    )


def _merged(root: HTTPRoute, leaf: HTTPRoute) -> HTTPRoute | None:
    """Return the delegate's route within the root's match, None if they exclude each other."""
    matches = [
        merged
        for outer in root.match or (HTTPMatchRequest(),)
        for inner in leaf.match or (HTTPMatchRequest(),)
        if (merged := _intersection(outer, inner)) is not None
    ]
    if not matches:
        return None
    inherited = {
        name: getattr(leaf, name) or getattr(root, name)
        for name in _DELEGATED
        if getattr(leaf, name) or getattr(root, name)
    }
    everything = HTTPMatchRequest() in matches
    names = "-".join(n for n in (root.name, leaf.name) if n)
    match = () if everything else tuple(matches)
    return msgspec.structs.replace(leaf, match=match, name=names, **inherited)


def _intersection(outer: HTTPMatchRequest, inner: HTTPMatchRequest) -> HTTPMatchRequest | None:
    """Return a match of what both match; None if the inner one goes beyond the outer one."""
    changes: dict[str, object] = {}
    for field in HTTPMatchRequest.__struct_fields__:
        mine, theirs = getattr(outer, field), getattr(inner, field)
        if not mine:
            continue
        if not theirs:
            changes[field] = mine
        elif isinstance(mine, dict):
            if any(k in theirs and theirs[k] != v for k, v in mine.items()):
                return None
            changes[field] = {**mine, **theirs}
        elif field == "uri":
            if not _within(mine, theirs):
                return None
        elif mine != theirs and field not in ("name", "gateways", "stat_prefix"):
            return None
    return msgspec.structs.replace(inner, **changes)


def _within(outer: object, inner: object) -> bool:
    prefix = getattr(outer, "prefix", None)
    if prefix is None:
        return outer == inner
    text = getattr(inner, "prefix", None) or getattr(inner, "exact", None)
    return text is not None and str(text).startswith(prefix)
