"""Istio's admission rules for VirtualService."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import (
    check_export_to,
    check_port,
    host_problem,
    is_dns_label,
    is_ip,
)
from clew.config.validate.http_actions import check_direct_response, check_redirect, check_rewrite
from clew.config.validate.http_headers import check_headers, check_match_name, check_names
from clew.config.validate.http_retries import check_retries
from clew.config.validate.scalars import check_duration, check_regex
from clew.model.virtual_service import (
    CorsPolicy,
    Destination,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    RouteDestination,
    StringMatch,
    TLSRoute,
    VirtualService,
)

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE *".split())


def validate_virtual_service(resource: VirtualService) -> Iterator[Finding]:
    spec, namespace = resource.spec, resource.metadata.namespace
    yield from _check_hosts(resource)
    if not (spec.http or spec.tls or spec.tcp):
        yield Finding(("spec",), "set at least one of http, tls, tcp")
    if not spec.hosts and (spec.gateways or spec.tls or spec.tcp):
        yield Finding(("spec",), "without hosts this is a delegate, which may only have http")
    yield from check_export_to(spec.export_to, namespace, ("spec", "exportTo"))
    for index, gateway in enumerate(spec.gateways):
        parts = gateway.split("/")
        if len(parts) > 2 or (len(parts) == 2 and not all(is_dns_label(p) for p in parts)):
            yield Finding(("spec", "gateways", index), f'"{gateway}" is not <namespace>/<name>')
    for index, route in enumerate(spec.http):
        delegate = not spec.hosts
        yield from _check_http_route(route, ("spec", "http", index), delegate=delegate)
    for index, tls in enumerate(spec.tls):
        yield from _check_tls_route(tls, spec.hosts, ("spec", "tls", index))
    for index, tcp in enumerate(spec.tcp):
        yield from _check_weighted(tcp.route, ("spec", "tcp", index, "route"))


def _check_hosts(resource: VirtualService) -> Iterator[Finding]:
    spec = resource.spec
    on_mesh = not spec.gateways or "mesh" in spec.gateways
    for index, host in enumerate(spec.hosts):
        path: FieldPath = ("spec", "hosts", index)
        if not is_ip(host) and (problem := host_problem(host)):
            yield Finding(path, problem)
        if host == "*" and on_mesh:
            yield Finding(path, '"*" cannot be a host in the mesh', "name a gateway, or the hosts")
        if other := next((h for h in spec.hosts[:index] if overlap(h, host)), None):
            yield Finding(path, f'"{host}" and "{other}" overlap')


def overlap(one: str, other: str) -> bool:
    """Is there a host that both patterns stand for?"""
    if one.startswith("*") and other.startswith("*"):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    return one == other or _covers(one, other) or _covers(other, one)


def _check_http_route(route: HTTPRoute, path: FieldPath, *, delegate: bool) -> Iterator[Finding]:
    yield from _check_action(route, path, delegate=delegate)
    for index, match in enumerate(route.match):
        yield from _check_match(match, (*path, "match", index))
    for index, to in enumerate(route.route):
        yield from _check_destination(to.destination, (*path, "route", index, "destination"))
        yield from check_headers(to.headers, (*path, "route", index, "headers"))
    yield from _check_weights(route.route, (*path, "route"))
    yield from check_duration(route.timeout, (*path, "timeout"))
    yield from check_headers(route.headers, (*path, "headers"))
    if route.retries is not None:
        yield from check_retries(route.retries, (*path, "retries"))
    if route.fault is not None:
        yield from _check_fault(route.fault, (*path, "fault"))
    if route.cors_policy is not None:
        yield from _check_cors(route.cors_policy, (*path, "corsPolicy"))
    if route.mirror is not None:
        yield from _check_destination(route.mirror, (*path, "mirror"))
        if route.mirrors:
            yield Finding((*path, "mirrors"), "set mirror or mirrors, not both")
    yield from _check_percentage(route.mirror_percentage, (*path, "mirrorPercentage"))


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
    if len(names) > 1:
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


def _check_match(match: HTTPMatchRequest, path: FieldPath) -> Iterator[Finding]:
    single = (("uri", match.uri), ("scheme", match.scheme), ("method", match.method))
    for name, value in (*single, ("authority", match.authority)):
        if value is not None:
            yield from _check_string_match(value, (*path, name), empty_prefix=name == "uri")
    maps = (("headers", match.headers), ("withoutHeaders", match.without_headers))
    for name, values in (*maps, ("queryParams", match.query_params)):
        for key, value in values.items():
            if name != "queryParams":
                yield from check_match_name(key, (*path, name, key))
            elif not key:
                yield Finding((*path, name), "a name is empty")
            yield from _check_string_match(value, (*path, name, key))
    yield from check_port(match.port, (*path, "port"))


def _check_string_match(
    value: StringMatch, path: FieldPath, *, empty_prefix: bool = False
) -> Iterator[Finding]:
    kinds = [k for k in (value.exact, value.prefix, value.regex) if k is not None]
    if len(kinds) > 1:
        yield Finding(path, "set only one of exact, prefix, regex")
    if value.prefix == "" and not empty_prefix:
        yield Finding((*path, "prefix"), "an empty prefix matches everything", "leave it out")
    if value.regex is not None and value.regex != "*":
        yield from check_regex(value.regex, (*path, "regex"))


def _check_destination(destination: Destination | None, path: FieldPath) -> Iterator[Finding]:
    if destination is None:
        yield Finding(path, "a destination is missing")
        return
    if destination.host == "*":
        yield Finding((*path, "host"), '"*" is not a destination')
    elif not is_ip(destination.host) and (problem := host_problem(destination.host)):
        yield Finding((*path, "host"), problem)
    if destination.subset and not is_dns_label(destination.subset):
        yield Finding((*path, "subset"), f'"{destination.subset}" is not a subset name')
    if destination.port is not None:
        yield from check_port(destination.port.number or 0, (*path, "port", "number"))


def _check_weights(
    routes: Sequence[HTTPRouteDestination | RouteDestination], path: FieldPath
) -> Iterator[Finding]:
    for index, to in enumerate(routes):
        if (to.weight or 0) < 0:
            yield Finding((*path, index, "weight"), "a weight cannot be negative")
    if len(routes) > 1 and sum(to.weight or 0 for to in routes) <= 0:
        yield Finding(path, "the weights add up to 0, so no request could go anywhere")


def _check_weighted(routes: Sequence[RouteDestination], path: FieldPath) -> Iterator[Finding]:
    if not routes:
        yield Finding(path, "a route is missing")
    for index, to in enumerate(routes):
        yield from _check_destination(to.destination, (*path, index, "destination"))
    yield from _check_weights(routes, path)


def _check_tls_route(route: TLSRoute, hosts: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    if not route.match:
        yield Finding((*path, "match"), "a TLS route needs a match on sniHosts")
    for index, match in enumerate(route.match):
        at = (*path, "match", index, "sniHosts")
        if not match.sni_hosts:
            yield Finding(at, "at least one SNI host is needed")
        for number, sni in enumerate(match.sni_hosts):
            if is_ip(sni):
                yield Finding((*at, number), f'clients send no IP as SNI: "{sni}"', "", True)
            elif problem := host_problem(sni):
                yield Finding((*at, number), problem)
            elif not any(_covers(host, sni) for host in hosts):
                yield Finding((*at, number), f'"{sni}" is not one of the hosts of this object')
    yield from _check_weighted(route.route, (*path, "route"))


def _covers(host: str, sni: str) -> bool:
    return host == sni or (host.startswith("*") and sni.removeprefix("*").endswith(host[1:]))


def _check_fault(fault: HTTPFaultInjection, path: FieldPath) -> Iterator[Finding]:
    if fault.delay is None and fault.abort is None:
        yield Finding(path, "set delay, abort or both")
    if (delay := fault.delay) is not None:
        if delay.fixed_delay is None:
            yield Finding((*path, "delay"), "set fixedDelay")
        else:
            yield from check_duration(delay.fixed_delay, (*path, "delay", "fixedDelay"))
        yield from _check_percentage(delay.percentage, (*path, "delay", "percentage"))
    if (abort := fault.abort) is not None:
        if abort.http_status is None and not abort.grpc_status:
            yield Finding((*path, "abort"), "set httpStatus or grpcStatus")
        if abort.http_status is not None and not 200 <= abort.http_status <= 600:
            problem = f"{abort.http_status} is not an HTTP status"
            yield Finding((*path, "abort", "httpStatus"), problem)
        yield from _check_percentage(abort.percentage, (*path, "abort", "percentage"))


def _check_percentage(percent: Percent | None, path: FieldPath) -> Iterator[Finding]:
    value = percent.value if percent is not None else None
    if value is not None and not (value == 0 or 0.0001 <= value <= 100):
        yield Finding((*path, "value"), f"{value} is neither 0 nor between 0.0001 and 100")


def _check_cors(cors: CorsPolicy, path: FieldPath) -> Iterator[Finding]:
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS:
            yield Finding((*path, "allowMethods", index), f'"{method}" is not an HTTP method')
    if cors.max_age is not None and cors.max_age.nanoseconds % 1_000_000_000:
        yield Finding((*path, "maxAge"), "must be whole seconds")
    yield from check_names(cors.allow_headers, (*path, "allowHeaders"))
    yield from check_names(cors.expose_headers, (*path, "exposeHeaders"))
    for index, origin in enumerate(cors.allow_origins):
        yield from _check_string_match(origin, (*path, "allowOrigins", index))
