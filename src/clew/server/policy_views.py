"""Which policies are in force for the requests to one service, and what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clew.api.messages import key_message
from clew.api.views import PolicyView
from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource, ResourceKey
from clew.model.destination_rule import ConnectionPoolSettings, DestinationRule, TrafficPolicy
from clew.model.kinds import kind_of
from clew.model.peer_authentication import PeerAuthentication
from clew.model.request_authentication import RequestAuthentication
from clew.model.service import Service
from clew.server.endpoint_views import by_address
from clew.snapshot.concern import selecting
from clew.snapshot.destination_rules import rule_host
from clew.snapshot.export import exported_to, visible
from clew.snapshot.hosts import covers
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot


def policy_views(
    snapshot: MeshSnapshot, service: Service, namespace: str
) -> tuple[PolicyView, ...]:
    """Those of clients in ``namespace`` first, then those of the service's own workloads."""
    rules = [
        PolicyView(key=key_message(rule.key), says=tuple(_rule(rule)))
        for rule in objects_of(DestinationRule, snapshot.objects)
        if covers(rule_host(rule), service.hostname) and _seen(snapshot, rule, namespace)
    ]
    return (*rules, *_of_workloads(snapshot, service))


def mutual_tls_modes(snapshot: MeshSnapshot, service: Service) -> dict[str, str]:
    """The mTLS mode that each workload of the service asks for."""
    modes = {}
    for endpoint in by_address(snapshot.endpoints.get(service.key, ())):
        workload, labels = endpoint.workload, dict(endpoint.workload.labels)
        where = workload.namespace or service.namespace
        mode, _ = snapshot.registry.authentication.of_workload(where, labels)
        modes[workload.name or endpoint.address] = mode.value if workload.has_proxy else "no proxy"
    return modes


def _seen(snapshot: MeshSnapshot, rule: DestinationRule, namespace: str) -> bool:
    own, default = rule.metadata.namespace, snapshot.mesh.default_destination_rule_export_to
    return visible(exported_to(rule.spec.export_to, own, default), namespace)


def _of_workloads(snapshot: MeshSnapshot, service: Service) -> Iterator[PolicyView]:
    keys: dict[ResourceKey, None] = {}
    for endpoint in by_address(snapshot.endpoints.get(service.key, ())):
        where = endpoint.workload.namespace or service.namespace
        keys |= dict.fromkeys(selecting(snapshot, where, dict(endpoint.workload.labels)))
    for key in sorted(keys):
        kind = kind_of(key.group, key.kind)
        found = snapshot.objects.get(kind.type, {}) if kind is not None else {}
        resource = found[key.namespace][key.name]
        yield PolicyView(key=key_message(key), says=tuple(_policy(resource)))


def _policy(resource: Resource) -> Iterator[str]:
    match resource:
        case PeerAuthentication():
            mode = resource.spec.mtls.mode if resource.spec.mtls is not None else None
            yield f"mTLS {mode or 'as inherited'}"
            for port, setting in resource.spec.port_level_mtls.items():
                yield f"mTLS {setting.mode} at port {port}"
        case AuthorizationPolicy():
            count = len(resource.spec.rules)
            rules = f"{count} rule{'s' * (count != 1)}" if count else "no rule"
            yield f"{resource.spec.action or 'ALLOW'}: {rules}"
        case RequestAuthentication():
            for rule in resource.spec.jwt_rules:
                yield f"checks JWTs of {rule.issuer}"


def _rule(rule: DestinationRule) -> Iterator[str]:
    yield from _traffic_policy(rule.spec.traffic_policy)
    for subset in rule.spec.subsets:
        labels = ", ".join(f"{k}={v}" for k, v in subset.labels.items())
        yield f"subset {subset.name}: {labels or 'all endpoints'}"
        yield from (f"subset {subset.name}: {t}" for t in _traffic_policy(subset.traffic_policy))


def _traffic_policy(policy: TrafficPolicy | None) -> Iterator[str]:
    if policy is None:
        return
    if policy.load_balancer is not None:
        balancer = policy.load_balancer
        hashing = "consistent hashing" if balancer.consistent_hash is not None else ""
        yield f"load balancing: {balancer.simple or hashing or 'by locality'}"
    if policy.tls is not None:
        yield f"TLS to endpoints: {policy.tls.mode}"
    if policy.outlier_detection is not None:
        found = policy.outlier_detection
        after = found.consecutive_5xx_errors or found.consecutive_gateway_errors or 5
        yield f"ejects endpoints after {after} errors"
    if policy.connection_pool is not None:
        yield from (f"at most {n} {what}" for what, n in _limits(policy.connection_pool).items())


def _limits(pool: ConnectionPoolSettings) -> Mapping[str, int]:
    tcp, http = pool.tcp, pool.http
    limits = {
        "connections": tcp.max_connections if tcp else None,
        "waiting requests": http.http1_max_pending_requests if http else None,
        "requests at once": http.http2_max_requests if http else None,
        "requests per connection": http.max_requests_per_connection if http else None,
        "retries at once": http.max_retries if http else None,
    }
    return {what: number for what, number in limits.items() if number}
