"""Who may call whom: the rules that proxies get, asked about requests that nobody makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from clew.api.authorization import (
    CellName,
    Matrix,
    MatrixRow,
    OutcomeName,
    Permission,
    WorkloadVerdict,
)
from clew.compile.policy_verdict import Filters, Outcome, decide, filters_of
from clew.compile.rbac_verdict import Request
from clew.compile.token_filter import PAYLOAD
from clew.model import names
from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.proxy import Proxy, ProxyType
from clew.model.service import Endpoint, Protocol, Service, ServicePort, Workload
from clew.snapshot.authorization import authorization_at
from clew.snapshot.scope import MutualTls
from clew.snapshot.snapshot import MeshSnapshot

TOKENS = "envoy.filters.http.jwt_authn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is asked about. ``claims``: of a token that is good."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by the identity of its proxy; both "" without one."""

    namespace: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.account}" if self.account else ""


NOBODY = Caller()


def callers(snapshot: MeshSnapshot) -> tuple[Caller, ...]:
    """The identities that workloads with a proxy have."""
    found = {
        Caller(each.workload.namespace, each.workload.service_account)
        for endpoints in snapshot.endpoints.values()
        for each in endpoints
        if each.workload.has_proxy and each.workload.service_account
    }
    return tuple(sorted(found, key=str))


def callers_named(snapshot: MeshSnapshot, name: str, namespace: str) -> tuple[Caller, ...]:
    """The identities that are meant by a service account, a service or a workload."""
    place, slash, short = name.rpartition("/")
    where = place if slash else namespace
    known = callers(snapshot)
    if Caller(where, short) in known:
        return (Caller(where, short),)
    behind = {
        Caller(each.workload.namespace, each.workload.service_account)
        for service in snapshot.services.by_namespace.get(where, ())
        for each in snapshot.endpoints.get(service.key, ())
        if short in (service.name, each.workload.name)
    }
    return tuple(caller for caller in known if caller in behind)


@dataclass(frozen=True, slots=True)
class Target:
    """One workload that serves a port of a service, and the filters in front of it."""

    service: Service
    port: ServicePort
    endpoint: Endpoint
    mode: MutualTls
    filters: Filters
    policies: tuple[AuthorizationPolicy, ...]

    @property
    def name(self) -> str:
        return self.endpoint.workload.name or self.endpoint.address

    @property
    def is_tcp(self) -> bool:
        return _is_tcp(self.port)


def permission(
    snapshot: MeshSnapshot, caller: Caller, service: Service, port: ServicePort, asked: Asked
) -> Permission:
    """Whether a caller may make a request to a port of a service."""
    targets = targets_of(snapshot, service, port)
    domain = snapshot.mesh.trust_domain
    workloads = tuple(_verdict(target, caller, asked, domain) for target in targets)
    return Permission(
        caller=str(caller),
        host=service.hostname,
        port=port.number,
        protocol=port.protocol.value,
        outcome=_together({each.outcome for each in workloads}),
        workloads=workloads,
    )


def _together(outcomes: Set[OutcomeName]) -> OutcomeName:
    return next(iter(outcomes)) if len(outcomes) == 1 else "mixed"


def matrix(snapshot: MeshSnapshot, services: Iterable[Service]) -> Matrix:
    """Who may call whom. What depends on the request is tried with what rules speak of."""
    columns = {
        f"{service.hostname}:{port.number}": found
        for service in services
        for port in service.ports
        if port.protocol is not Protocol.UDP and (found := targets_of(snapshot, service, port))
    }
    domain = snapshot.mesh.trust_domain
    rows = [
        MatrixRow(
            caller=str(caller),
            cells=tuple(_cell(targets, caller, domain) for targets in columns.values()),
        )
        for caller in (*callers(snapshot), NOBODY)
    ]
    return Matrix(targets=tuple(columns), rows=tuple(rows))


def _cell(targets: Sequence[Target], caller: Caller, trust_domain: str) -> CellName:
    outcomes = {
        _verdict(target, caller, asked, trust_domain).outcome
        for target in targets
        for asked in samples(target.policies)
    }
    return _CELLS.get(_together(outcomes), "some")


_CELLS: Mapping[str, CellName] = {"allowed": "yes", "denied": "no", "asked": "asked"}


def samples(policies: Iterable[AuthorizationPolicy]) -> list[Asked]:
    """Requests of each method and path that rules speak of, and of others."""
    operations = [
        to.operation
        for policy in policies
        for rule in policy.spec.rules
        for to in rule.to
        if to.operation is not None
    ]
    methods = {m for o in operations for m in (*o.methods, *o.not_methods) if "*" not in m}
    paths = {_written_out(p) for o in operations for p in (*o.paths, *o.not_paths)}
    chosen = sorted(paths)[:_MOST_PATHS]
    return [
        Asked(method=method, path=path)
        for method in sorted(methods | {"GET", "POST"})
        for path in ("/", *chosen, _OTHER_PATH)
    ]


# Enough to tell, and not so many that the answer takes long.
_MOST_PATHS = 20
_OTHER_PATH = "/another/path/of/no/rule"


def _written_out(path: str) -> str:
    """A path that a pattern matches."""
    for operator in ("{**}", "{*}", "*"):
        path = path.replace(operator, "x")
    return path if path.startswith("/") else f"/{path}"


def targets_of(snapshot: MeshSnapshot, service: Service, port: ServicePort) -> list[Target]:
    """One for each of the workloads that serve a port: replicas are alike."""
    found: dict[tuple[Workload, int], Endpoint] = {}
    for endpoint in snapshot.endpoints.get(service.key, ()):
        if endpoint.port_name == port.name:
            found.setdefault((endpoint.workload, endpoint.port), endpoint)
    return [_target(snapshot, service, port, endpoint) for endpoint in found.values()]


def _target(
    snapshot: MeshSnapshot, service: Service, port: ServicePort, endpoint: Endpoint
) -> Target:
    workload = endpoint.workload
    of_all, by_port = snapshot.registry.authentication.of_workload(
        workload.namespace, dict(workload.labels)
    )
    proxy = Proxy(
        type=ProxyType.SIDECAR,
        name=workload.name,
        namespace=workload.namespace,
        ip=endpoint.address,
        labels=workload.labels,
    )
    authorization = authorization_at(snapshot, proxy)
    return Target(
        service=service,
        port=port,
        endpoint=endpoint,
        mode=by_port.get(endpoint.port, of_all),
        filters=filters_of(authorization, snapshot.mesh, tcp=_is_tcp(port)),
        policies=authorization.policies,
    )


def _is_tcp(port: ServicePort) -> bool:
    """Where Envoy looks for itself, a request is asked about as one."""
    return not port.protocol.is_http and port.protocol is not Protocol.AUTO


def _verdict(target: Target, caller: Caller, asked: Asked, trust_domain: str) -> WorkloadVerdict:
    if not target.endpoint.workload.has_proxy:
        reason = "it has no proxy, so no policy holds there"
        return WorkloadVerdict(workload=target.name, outcome="allowed", reason=reason)
    if target.mode is MutualTls.STRICT and caller == NOBODY:
        reason = "mTLS is STRICT there, and the caller has no proxy"
        return WorkloadVerdict(workload=target.name, outcome="denied", reason=reason)
    found = decide(target.filters, request_to(target, caller, asked, trust_domain))
    return WorkloadVerdict(
        workload=target.name,
        outcome=_OUTCOMES[found.outcome],
        rule=found.rule,
        reason=found.reason,
        dry_runs=found.dry_runs,
    )


_OUTCOMES: Mapping[Outcome, OutcomeName] = {
    Outcome.ALLOWED: "allowed",
    Outcome.DENIED: "denied",
    Outcome.ASKED: "asked",
}


def request_to(target: Target, caller: Caller, asked: Asked, trust_domain: str) -> Request:
    """What the server's proxy sees. A client with a proxy comes with mTLS wherever it is taken."""
    known = caller != NOBODY and target.mode is not MutualTls.DISABLE
    identity = names.spiffe_id(trust_domain, caller.namespace, caller.account) if known else ""
    return Request(
        port=target.endpoint.port,
        principal=identity,
        headers={} if target.is_tcp else _headers(asked, target.service.hostname),
        source_ip=asked.source_ip,
        destination_ip=target.endpoint.address,
        metadata={TOKENS: {PAYLOAD: asked.claims}} if asked.claims else {},
    )


def _headers(asked: Asked, host: str) -> dict[str, str]:
    given = {name.lower(): value for name, value in asked.headers.items()}
    return {
        ":method": asked.method,
        ":path": asked.path,
        ":authority": given.pop("host", host),
        **given,
    }
