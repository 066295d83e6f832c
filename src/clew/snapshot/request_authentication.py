"""Which tokens a workload accepts: the rules of all policies that select it, together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from clew.model import names
from clew.model.addresses import is_link_local
from clew.model.destination_rule import DestinationRule
from clew.model.proxy import Proxy
from clew.model.request_authentication import JWTRule, RequestAuthentication
from clew.model.service import Resolution, Service
from clew.snapshot.policy_targets import binds

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteKeys:
    """Where Envoy fetches an issuer's keys: through ``cluster``, which is that of a service if
    the host is one. Else it is one of its own, to ``host`` and ``port``, with ``tls`` or without.
    """

    uri: str
    host: str
    port: int
    tls: bool
    cluster: str
    of_service: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRule:
    """``keys`` is None if they stand in the rule, or nobody knows where to fetch them."""

    rule: JWTRule
    keys: RemoteKeys | None = None


def token_rules(
    policies: Iterable[RequestAuthentication], proxy: Proxy, root_namespace: str
) -> tuple[JWTRule, ...]:
    """Return the rules, ordered by issuer so that they do not depend on the policies' order.

    Source: istio's composition of RequestAuthentication.
    """
    found = [
        rule
        for policy in sorted(policies, key=lambda each: each.key)
        if binds(policy, proxy, root_namespace)
        for rule in policy.spec.jwt_rules
    ]
    return tuple(sorted(found, key=lambda rule: rule.issuer))


def with_keys(
    rules: Iterable[JWTRule],
    issuers: Mapping[str, str],
    services: Iterable[Service],
    destination_rules: Mapping[str, DestinationRule],
) -> tuple[TokenRule, ...]:
    """Say of each rule where its keys are. ``issuers``: the ``jwksUri`` that they tell of.

    Source: istio ``policy_applier.go`` with PILOT_JWT_ENABLE_REMOTE_JWKS=envoy.
    """
    wanted = [(rule, _uri(rule, issuers)) for rule in rules]
    if not any(uri for _, uri in wanted):
        return tuple(TokenRule(rule=rule) for rule, _ in wanted)
    known = {service.hostname: service for service in services}
    return tuple(
        TokenRule(rule=rule, keys=_remote_keys(uri, known, destination_rules))
        for rule, uri in wanted
    )


def undiscovered_issuers(policies: Iterable[RequestAuthentication]) -> frozenset[str]:
    """Return the issuers that have to say themselves where their keys are."""
    rules = (rule for policy in policies for rule in policy.spec.jwt_rules)
    return frozenset(
        rule.issuer
        for rule in rules
        if not rule.jwks and not rule.jwks_uri and rule.issuer.startswith(("http://", "https://"))
    )


def _uri(rule: JWTRule, issuers: Mapping[str, str]) -> str:
    return "" if rule.jwks else rule.jwks_uri or issuers.get(rule.issuer, "")


def _remote_keys(
    uri: str, services: Mapping[str, Service], rules: Mapping[str, DestinationRule]
) -> RemoteKeys | None:
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if not host or not port or is_link_local(host):
        return None
    tls = parts.scheme == "https"
    for name in _full_names(host):
        service = services.get(name)
        if service is not None and _speaks(service, port, rules.get(name), tls):
            cluster = names.outbound_cluster(port, name)
            return RemoteKeys(
                uri=uri, host=host, port=port, tls=tls, cluster=cluster, of_service=True
            )
    cluster = names.keys_cluster(port, host, tls=tls)
    return RemoteKeys(uri=uri, host=host, port=port, tls=tls, cluster=cluster, of_service=False)


def _full_names(host: str) -> Iterator[str]:
    """A name of Kubernetes may be short, as it may for istiod."""
    yield host
    if host.endswith(".svc"):
        yield f"{host}.cluster.local"
    elif host.count(".") == 1:
        yield f"{host}.svc.cluster.local"


def _speaks(service: Service, port: int, rule: DestinationRule | None, tls: bool) -> bool:
    """Whether requests through the service's cluster arrive as the URL says.

    A service outside gets plaintext through it, unless a DestinationRule begins TLS.
    """
    if service.resolution is Resolution.ALIAS or all(p.number != port for p in service.ports):
        return False
    return not (tls and service.mesh_external) or _begins_tls(rule, port)


def _begins_tls(rule: DestinationRule | None, port: int) -> bool:
    policy = rule.spec.traffic_policy if rule is not None else None
    if policy is None:
        return False
    own = (each for each in policy.port_level_settings if each.port and each.port.number == port)
    return next(own, policy).tls is not None
