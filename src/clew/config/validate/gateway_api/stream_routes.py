"""Rules for the Gateway API's routes of connections: TLSRoute, TCPRoute and UDPRoute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import SECTION_NAME, check_count, check_text
from clew.config.validate.gateway_api.http_route import check_hostnames
from clew.config.validate.gateway_api.references import check_backends, check_parents
from clew.model.addresses import is_ip
from clew.model.gateway_api.references import BackendRef
from clew.model.gateway_api.tcp_route import KubernetesTCPRoute
from clew.model.gateway_api.tls_route import KubernetesTLSRoute
from clew.model.gateway_api.udp_route import UDPRoute

_ALPHA = "v1alpha2"


class Rule(Protocol):
    """TCPRouteRule, TLSRouteRule or UDPRouteRule, which have the same fields."""

    @property
    def name(self) -> str | None: ...
    @property
    def backend_refs(self) -> tuple[BackendRef, ...]: ...


def validate_kubernetes_tls_route(resource: KubernetesTLSRoute) -> Iterator[Finding]:
    """From ``v1alpha3`` on, a TLSRoute says for which names it is."""
    spec, path = resource.spec, ("spec", "hostnames")
    version = _version(resource.api_version)
    yield from check_parents(spec.parent_refs)
    yield from check_hostnames(spec.hostnames, 16 if version == _ALPHA else 1024)
    if not spec.hostnames and version != _ALPHA:
        yield Finding(path, "a TLSRoute needs at least one host name")
    for index, hostname in enumerate(spec.hostnames):
        if is_ip(hostname):
            yield Finding((*path, index), "clients ask for names, not for IP addresses")
    yield from _check_rules(spec.rules, version)


def validate_kubernetes_tcp_route(resource: KubernetesTCPRoute) -> Iterator[Finding]:
    yield from check_parents(resource.spec.parent_refs)
    yield from _check_rules(resource.spec.rules, _version(resource.api_version))


def validate_udp_route(resource: UDPRoute) -> Iterator[Finding]:
    yield from check_parents(resource.spec.parent_refs)
    yield from _check_rules(resource.spec.rules, _version(resource.api_version))


def _version(api_version: str) -> str:
    return api_version.rpartition("/")[2]


def _check_rules(rules: Sequence[Rule], version: str) -> Iterator[Finding]:
    path: FieldPath = ("spec", "rules")
    yield from check_count(rules, 16 if version == _ALPHA else 1, path, least=1)
    for index, rule in enumerate(rules):
        at = (*path, index)
        yield from check_text(rule.name, SECTION_NAME, (*at, "name"))
        yield from check_backends(rule.backend_refs, (*at, "backendRefs"), least=1)
