"""Rules for which requests and connections a VirtualService's routes are for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.config.validate.http_headers import check_match_name
from clew.config.validate.scalars import check_regex, is_address_or_range
from clew.config.validate.selectors import check_instance_labels
from clew.model.addresses import is_ip
from clew.model.virtual_service import (
    HTTPMatchRequest,
    L4MatchAttributes,
    StringMatch,
    TLSMatchAttributes,
)

# A host of clusters that gateways pass TLS through to; Istio looks at no more of it than this.
_PASSED_THROUGH = re.compile(r"outbound_\.[0-9].{,244}", re.DOTALL)


def check_gateway_names(names: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    """``namespace/name``, or a name alone, which may be an older, dotted one.

    Source: istio ``validateGatewayNames``.
    """
    for index, gateway in enumerate(names):
        namespace, slash, name = gateway.partition("/")
        at = (*path, index)
        if slash and not (is_host_label(namespace) and is_host_label(name)):
            yield Finding(at, f'"{gateway}" is not <namespace>/<name>')
        elif not slash and (problem := host_problem(gateway, wildcard=False)):
            yield Finding(at, problem)
        elif not slash and "." in gateway:
            name, namespace = gateway.split(".")[:2]
            problem = f'"{gateway}" is the old way to name a gateway'
            yield Finding(at, problem, f"write {namespace}/{name}", warning=True)


def check_http_match(match: HTTPMatchRequest, path: FieldPath) -> Iterator[Finding]:
    single = (("uri", match.uri), ("scheme", match.scheme), ("method", match.method))
    for name, value in (*single, ("authority", match.authority)):
        if value is not None:
            yield from check_string_match(value, (*path, name), empty_prefix=name == "uri")
    maps = (("headers", match.headers), ("withoutHeaders", match.without_headers))
    for name, values in (*maps, ("queryParams", match.query_params)):
        for key, value in values.items():
            if name != "queryParams":
                yield from check_match_name(key, (*path, name, key))
            elif not key:
                yield Finding((*path, name), "a name is empty")
            # Of a header or a parameter, "*" asks only that it is there.
            if value.regex != "*":
                yield from check_string_match(value, (*path, name, key))
    yield from _check_source(match, path)
    if match.source_namespace and not is_host_label(match.source_namespace):
        problem = f'"{match.source_namespace}" is not a namespace'
        yield Finding((*path, "sourceNamespace"), problem)


def check_string_match(
    value: StringMatch, path: FieldPath, *, empty_prefix: bool = False
) -> Iterator[Finding]:
    kinds = [k for k in (value.exact, value.prefix, value.regex) if k is not None]
    if len(kinds) > 1:
        yield Finding(path, "set only one of exact, prefix, regex")
    if value.prefix == "" and not empty_prefix:
        yield Finding((*path, "prefix"), "an empty prefix matches everything", "leave it out")
    if value.regex is not None:
        yield from check_regex(value.regex, (*path, "regex"))


def check_connection_match(
    match: TLSMatchAttributes | L4MatchAttributes, path: FieldPath
) -> Iterator[Finding]:
    for index, subnet in enumerate(match.destination_subnets):
        if not is_address_or_range(subnet):
            problem = f'"{subnet}" is not an IP address or CIDR'
            yield Finding((*path, "destinationSubnets", index), problem)
    yield from _check_source(match, path)


def _check_source(
    match: HTTPMatchRequest | TLSMatchAttributes | L4MatchAttributes, path: FieldPath
) -> Iterator[Finding]:
    if match.port:
        yield from check_port(match.port, (*path, "port"))
    if match.source_labels:
        yield from check_instance_labels(match.source_labels, (*path, "sourceLabels"))
    if match.gateways:
        yield from check_gateway_names(match.gateways, (*path, "gateways"))


def check_sni_hosts(
    names: Sequence[str], hosts: Sequence[str], path: FieldPath, *, on_gateway: bool
) -> Iterator[Finding]:
    """SNI hosts are a part of the object's hosts. Source: istio ``validateSniHost``."""
    if not names:
        yield Finding(path, "at least one SNI host is needed")
    for index, sni in enumerate(names):
        if is_ip(sni):
            yield Finding((*path, index), f'clients send no IP as SNI: "{sni}"', "", True)
        elif problem := sni_problem(sni, on_gateway=on_gateway):
            yield Finding((*path, index), problem)
        elif not any(covers(host, sni) for host in hosts):
            yield Finding((*path, index), f'"{sni}" is not one of the hosts of this object')


def sni_problem(host: str, *, on_gateway: bool) -> str:
    """Why ``host`` cannot be a host: at gateways, ``outbound_.80_._.host`` can, too."""
    if on_gateway and _PASSED_THROUGH.fullmatch(host):
        return ""
    return host_problem(host)


def covers(host: str, name: str) -> bool:
    """Does ``host``, which may begin with a wildcard, stand for all that ``name`` stands for?"""
    return host == name or (host.startswith("*") and name.removeprefix("*").endswith(host[1:]))
