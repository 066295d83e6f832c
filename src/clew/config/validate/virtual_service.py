"""Istio's admission rules for VirtualService."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.destinations import (
    check_connections,
    check_destination,
    check_weights,
)
from clew.config.validate.hosts import check_export_to
from clew.config.validate.http_actions import check_direct_response, check_redirect, check_rewrite
from clew.config.validate.http_faults import check_cors, check_fault, check_mirrors
from clew.config.validate.http_headers import check_headers, is_claim, sets_host
from clew.config.validate.http_retries import check_retries
from clew.config.validate.route_matches import (
    check_connection_match,
    check_gateway_names,
    check_http_match,
    check_sni_hosts,
    covers,
    sni_problem,
)
from clew.config.validate.scalars import check_duration
from clew.config.validate.unreachable_routes import check_reachable
from clew.model.addresses import is_ip
from clew.model.virtual_service import (
    HTTPRoute,
    TCPRoute,
    TLSRoute,
    VirtualService,
    VirtualServiceSpec,
)


def validate_virtual_service(resource: VirtualService) -> Iterator[Finding]:
    spec, namespace = resource.spec, resource.metadata.namespace
    yield from _check_hosts(spec)
    if not (spec.http or spec.tls or spec.tcp):
        yield Finding(("spec",), "set at least one of http, tls, tcp")
    if not spec.hosts and (spec.gateways or spec.tls or spec.tcp):
        yield Finding(("spec",), "without hosts this is a delegate, which may only have http")
    yield from check_export_to(spec.export_to, namespace, ("spec", "exportTo"))
    yield from check_gateway_names(spec.gateways, ("spec", "gateways"))
    for index, route in enumerate(spec.http):
        delegate = not spec.hosts
        yield from _check_http_route(route, ("spec", "http", index), delegate=delegate)
    if not _only_on_gateways(spec):
        yield from _check_claims(spec)
    for index, tls in enumerate(spec.tls):
        yield from _check_tls_route(tls, spec, ("spec", "tls", index))
    for index, tcp in enumerate(spec.tcp):
        yield from _check_tcp_route(tcp, ("spec", "tcp", index))
    yield from check_reachable(spec)


def _only_on_gateways(spec: VirtualServiceSpec) -> bool:
    return bool(spec.gateways) and "mesh" not in spec.gateways


def _check_hosts(spec: VirtualServiceSpec) -> Iterator[Finding]:
    on_gateways = _only_on_gateways(spec)
    by_sni = on_gateways and any(match.sni_hosts for tls in spec.tls for match in tls.match)
    for index, host in enumerate(spec.hosts):
        path: FieldPath = ("spec", "hosts", index)
        if not is_ip(host) and (problem := sni_problem(host, on_gateway=by_sni)):
            yield Finding(path, problem)
        if host == "*" and not on_gateways:
            yield Finding(path, '"*" cannot be a host in the mesh', "name a gateway, or the hosts")
        if other := next((h for h in spec.hosts[:index] if overlap(h, host)), None):
            yield Finding(path, f'"{host}" and "{other}" overlap')


def overlap(one: str, other: str) -> bool:
    """Is there a host that both patterns stand for?"""
    if one.startswith("*") and other.startswith("*"):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    return one == other or covers(one, other) or covers(other, one)


def _check_claims(spec: VirtualServiceSpec) -> Iterator[Finding]:
    """Claims of tokens are known at gateways only."""
    for index, route in enumerate(spec.http):
        for number, match in enumerate(route.match):
            at: FieldPath = ("spec", "http", index, "match", number)
            for name in itertools.chain(match.headers, match.without_headers):
                if is_claim(name):
                    problem = f"{name} can be matched at gateways only"
                    yield Finding((*at, "headers", name), problem, "name gateways, without mesh")


def _check_http_route(route: HTTPRoute, path: FieldPath, *, delegate: bool) -> Iterator[Finding]:
    yield from _check_action(route, path, delegate=delegate)
    for index, match in enumerate(route.match):
        yield from check_http_match(match, (*path, "match", index))
    for index, to in enumerate(route.route):
        yield from check_destination(to.destination, (*path, "route", index, "destination"))
        if to.headers is not None:
            yield from check_headers(to.headers, (*path, "route", index, "headers"))
    yield from check_weights(route.route, (*path, "route"))
    if route.timeout is not None:
        yield from check_duration(route.timeout, (*path, "timeout"))
    if route.headers is not None:
        yield from check_headers(route.headers, (*path, "headers"))
    if sets_host(route.headers) + bool(route.rewrite and route.rewrite.authority) > 1:
        yield Finding((*path, "headers"), "the host is set in more than one place")
    if route.retries is not None:
        yield from check_retries(route.retries, (*path, "retries"))
    if route.fault is not None:
        yield from check_fault(route.fault, (*path, "fault"))
    if route.cors_policy is not None:
        yield from check_cors(route.cors_policy, (*path, "corsPolicy"))
    mirrored = (route.mirror, route.mirrors or None, route.mirror_percent, route.mirror_percentage)
    if any(each is not None for each in mirrored):
        yield from check_mirrors(route, path)


def _check_action(route: HTTPRoute, path: FieldPath, *, delegate: bool) -> Iterator[Finding]:
    """Exactly one thing happens to a request; what shapes a request needs one that goes on."""
    actions = {
        "route": route.route,
        "redirect": route.redirect,
        "directResponse": route.direct_response,
        "delegate": route.delegate,
    }
    names = [name for name, value in actions.items() if value]
    if not names:
        yield Finding(path, "set one of route, redirect, directResponse, delegate")
    # Istio takes a response beside a delegate, which then answers.
    if len(names) > 1 and set(names) != {"directResponse", "delegate"}:
        yield Finding(path, f"{' and '.join(names)} exclude each other")
    if delegate and route.delegate is not None:
        yield Finding((*path, "delegate"), "a delegate cannot delegate further")
    if route.redirect is not None or route.direct_response is not None:
        for name, value in (("fault", route.fault), ("rewrite", route.rewrite)):
            if value is not None:
                yield Finding((*path, name), f"{name} has no effect on a {names[0]}")
    if route.redirect is not None:
        yield from check_redirect(route.redirect, route.match, (*path, "redirect"))
    if route.rewrite is not None:
        yield from check_rewrite(route.rewrite, (*path, "rewrite"))
    if route.direct_response is not None:
        yield from check_direct_response(route.direct_response, (*path, "directResponse"))


def _check_tls_route(
    route: TLSRoute, spec: VirtualServiceSpec, path: FieldPath
) -> Iterator[Finding]:
    if not route.match:
        yield Finding((*path, "match"), "a TLS route needs a match on sniHosts")
    on_gateway = _only_on_gateways(spec)
    for index, match in enumerate(route.match):
        at = (*path, "match", index)
        yield from check_sni_hosts(
            match.sni_hosts, spec.hosts, (*at, "sniHosts"), on_gateway=on_gateway
        )
        yield from check_connection_match(match, at)
    yield from check_connections(route.route, (*path, "route"))


def _check_tcp_route(route: TCPRoute, path: FieldPath) -> Iterator[Finding]:
    for index, match in enumerate(route.match):
        yield from check_connection_match(match, (*path, "match", index))
    yield from check_connections(route.route, (*path, "route"))
