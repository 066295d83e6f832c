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
    StringMatch,
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
    "mirror_percent",
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
    """Return the delegate's route within the root's match, None if it goes beyond that."""
    match = _merged_matches(root.match, leaf.match)
    if match is None:
        return None
    inherited = {
        name: getattr(root, name) for name in _DELEGATED if getattr(leaf, name) in (None, ())
    }
    everything = HTTPMatchRequest() in match
    return msgspec.structs.replace(
        leaf, match=() if everything else match, name=_joined(root.name, leaf.name), **inherited
    )


def _merged_matches(
    root: Sequence[HTTPMatchRequest], leaf: Sequence[HTTPMatchRequest]
) -> tuple[HTTPMatchRequest, ...] | None:
    """Return each delegate's match within those of the root that cover it; None if one has none.

    Source: istio ``mergeHTTPMatchRequests``.
    """
    if not root or not leaf:
        return tuple(root or leaf)
    merged: list[HTTPMatchRequest] = []
    for inner in leaf:
        covering = [outer for outer in root if _covers(outer, inner)]
        if not covering:
            return None
        merged += (_within(outer, inner) for outer in covering)
    return tuple(merged)


def _covers(outer: HTTPMatchRequest, inner: HTTPMatchRequest) -> bool:
    """Whether ``inner`` asks for nothing that ``outer`` rules out. Source: ``hasConflict``."""
    if bool(outer.ignore_uri_case) is not bool(inner.ignore_uri_case):
        return False
    texts = ("uri", "scheme", "method", "authority")
    scalars = ("port", "source_namespace")
    maps = ("headers", "without_headers", "query_params")
    return (
        all(_admits(getattr(outer, f), getattr(inner, f)) for f in texts)
        and all(
            _admits(getattr(outer, f).get(key), value)
            for f in maps
            for key, value in getattr(inner, f).items()
        )
        and not any(
            getattr(outer, f) and getattr(inner, f) and getattr(outer, f) != getattr(inner, f)
            for f in scalars
        )
        and all(outer.source_labels.get(k, v) == v for k, v in inner.source_labels.items())
        and (not outer.gateways or set(inner.gateways) <= set(outer.gateways))
    )


def _admits(outer: StringMatch | None, inner: StringMatch | None) -> bool:
    """Whether every text that ``inner`` matches is one of ``outer``; of two, none may be a regex.

    Source: istio ``stringMatchConflict``.
    """
    if outer is None or inner is None:
        return True
    if outer.regex or inner.regex:
        asks = (outer.exact, outer.prefix, outer.regex), (inner.exact, inner.prefix, inner.regex)
        return not all(any(each) for each in asks)
    if outer.exact:
        return inner.exact == outer.exact
    text = inner.prefix or inner.exact
    return not outer.prefix or text is None or text.startswith(outer.prefix)


def _within(outer: HTTPMatchRequest, inner: HTTPMatchRequest) -> HTTPMatchRequest:
    """Return ``inner`` with what only ``outer`` asks for."""
    changes: dict[str, object] = {"name": _joined(outer.name, inner.name)}
    for field in HTTPMatchRequest.__struct_fields__:
        mine, theirs = getattr(outer, field), getattr(inner, field)
        if isinstance(mine, dict):
            changes[field] = {**mine, **theirs}
        elif not theirs:
            changes.setdefault(field, mine)
    return msgspec.structs.replace(inner, **changes)


def _joined(root: str, leaf: str) -> str:
    return "-".join(name for name in (root, leaf) if name)
