"""BackendTLSPolicy and XBackendTrafficPolicy as DestinationRules of the services they target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from clew.model.base import ObjectMeta
from clew.model.destination_rule import (
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    DestinationRuleSpec,
    H2UpgradePolicy,
    HTTPSettings,
    LoadBalancerSettings,
    PortTrafficPolicy,
    RetryBudget,
    TrafficPolicy,
)
from clew.model.gateway_api.backend_tls_policy import (
    BackendTLSPolicy,
    BackendTLSPolicyValidation,
)
from clew.model.gateway_api.backend_traffic_policy import XBackendTrafficPolicy
from clew.model.gateway_api.references import LocalPolicyTargetReference
from clew.model.route_semantics import PARENTS
from clew.model.service import Service
from clew.model.service_entry import ServiceEntry
from clew.model.virtual_service import PortSelector
from clew.snapshot.gateway_api.certificates import CONFIG_MAP_REFERENCE, roots_problem
from clew.snapshot.gateway_api.conditions import Condition, Problem, accepted
from clew.snapshot.gateway_api.gateways import GENERATED, ISTIO_API
from clew.snapshot.gateway_api.grpc_ports import undeclared_grpc_ports
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.objects import objects_of
from clew.snapshot.services import kubernetes_key

Policy = BackendTLSPolicy | XBackendTrafficPolicy

_IGNORE = "istio.io/ignore-policy-attachment"
_VALID = "Configuration is valid"
_ISTIO_GROUP = "networking.istio.io"
# There is no such ConfigMap, so connections fail instead of going out unverified.
_INVALID = f"{CONFIG_MAP_REFERENCE}invalid/"
# Istio speaks HTTP/1.1 there, with which a gRPC server can do nothing.
_HTTP2 = ConnectionPoolSettings(http=HTTPSettings(h2_upgrade_policy=H2UpgradePolicy.UPGRADE))
_IGNORED = Condition(
    "Accepted",
    False,
    "IgnoredByIstio",
    f"Ignored by Istio due to annotation {_IGNORE}=true",
)


class TargetPort(NamedTuple):
    """A host, and the port that a policy is for; 0: all of them."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPolicy:
    """What is to be said of a policy, by the references to its targets."""

    policy: Policy
    conditions: tuple[Condition, ...]
    conflicting: frozenset[LocalPolicyTargetReference] = frozenset()
    hosts: Mapping[LocalPolicyTargetReference, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    rules: tuple[DestinationRule, ...] = ()
    judged: tuple[JudgedPolicy, ...] = ()


@dataclass(slots=True)
class _Collected:
    """What the policies of one host say so far."""

    namespace: str
    name: str
    created: str
    parents: list[str] = field(default_factory=list)
    tls: dict[int, ClientTLSSettings] = field(default_factory=dict)
    budget: RetryBudget | None = None
    balanced: bool = False


def convert_policies(sources: Sources) -> Policies:
    """Of several policies for the same port of a host the oldest is in force.

    Source: istio ``DestinationRuleCollection``.
    """
    collected: dict[str, _Collected] = {}
    judged: list[JudgedPolicy] = []
    policies: list[Policy] = [
        *objects_of(BackendTLSPolicy, sources.objects),
        *objects_of(XBackendTrafficPolicy, sources.objects),
    ]
    for policy in sorted(policies, key=_age):
        targets = {ref: _target_ports(policy, ref, sources) for ref in policy.spec.target_refs}
        hosts = {ref: tuple(t.host for t in found) for ref, found in targets.items()}
        if policy.metadata.annotations.get(_IGNORE) == "true":
            judged.append(JudgedPolicy(policy=policy, conditions=(_IGNORED,), hosts=hosts))
            continue
        tls, conditions = _judge(policy, sources)
        losing = set()
        for reference, found in targets.items():
            for target in found:
                if not _add(policy, target, tls, reference, collected):
                    losing.add(reference)
        judged.append(
            JudgedPolicy(
                policy=policy,
                conditions=conditions,
                conflicting=frozenset(losing),
                hosts=hosts,
            )
        )
    grpc = undeclared_grpc_ports(sources)
    return Policies(
        rules=tuple(
            _rule(host, each, {port for name, port in grpc if name == host})
            for host, each in collected.items()
        ),
        judged=tuple(judged),
    )


def _age(policy: Policy) -> tuple[str, str, str]:
    meta = policy.metadata
    return (meta.creation_timestamp, meta.namespace, meta.name)


def _target_ports(
    policy: Policy, reference: LocalPolicyTargetReference, sources: Sources
) -> tuple[TargetPort, ...]:
    namespace = policy.metadata.namespace
    match reference.group, reference.kind:
        case ("", "Service"):
            hosts: Iterable[str] = (kubernetes_key(reference.name, namespace).hostname,)
        case (group, "ServiceEntry") if group == _ISTIO_GROUP:
            entry = sources.objects.get(ServiceEntry, {}).get(namespace, {}).get(reference.name)
            hosts = entry.spec.hosts if isinstance(entry, ServiceEntry) else ()
        case _:
            hosts = ()
    found = []
    for host in hosts:
        if not reference.section_name:
            found.append(TargetPort(host, 0))
        elif port := _port_of(sources.service(host, namespace), reference.section_name):
            found.append(TargetPort(host, port))
    return tuple(found)


def _port_of(service: Service | None, name: str) -> int:
    ports = service.ports if service is not None else ()
    return next((port.number for port in ports if port.name == name), 0)


def _judge(
    policy: Policy, sources: Sources
) -> tuple[ClientTLSSettings | None, tuple[Condition, ...]]:
    if isinstance(policy, XBackendTrafficPolicy):
        text = _VALID
        if policy.spec.session_persistence is not None:
            text += ", but Istio does not support the following fields: sessionPersistence"
        return None, (accepted(text),)
    validation = policy.spec.validation
    name, problem, refused = _roots(validation, policy.metadata.namespace, sources)
    names = tuple(each.hostname or each.uri for each in validation.subject_alt_names)
    settings = ClientTLSSettings(
        mode=ClientTLSMode.SIMPLE,
        sni=validation.hostname,
        # Without names of its own, a certificate must be for the host that is asked for.
        subject_alt_names=names or (validation.hostname,),
        credential_name=name,
    )
    if problem is None:
        resolved = Condition("ResolvedRefs", True, "ResolvedRefs", _VALID)
        return settings, (accepted(_VALID), resolved)
    return settings, (refused, problem.refuses("ResolvedRefs"))


def _roots(
    validation: BackendTLSPolicyValidation, namespace: str, sources: Sources
) -> tuple[str, Problem | None, Condition]:
    """Return by what name proxies get the authorities of a backend, "" for the system's own.

    And what is wrong with that, and what then becomes of the policy.
    """
    known = validation.well_known_ca_certificates
    fine = accepted(_VALID)
    if known == "System" or (not known and not validation.ca_certificate_refs):
        return "", None, fine
    if known:
        problem = Problem("Invalid", f"Unknown wellKnownCACertificates: {known}")
        return _INVALID, problem, problem.refuses("Accepted")
    problems: list[Problem] = []
    for reference in validation.ca_certificate_refs:
        if (reference.group, reference.kind) != ("", "ConfigMap"):
            text = f"unsupported reference kind: {reference.kind}"
            problems.append(Problem("InvalidKind", text))
            continue
        found = sources.config_map(reference.name, namespace)
        if found is None:
            text = f"ConfigMap {namespace}/{reference.name} not found"
            problems.append(Problem("InvalidCACertificateRef", text))
        elif why := roots_problem(found):
            problems.append(Problem("InvalidCACertificateRef", why))
        else:
            told = problems[-1] if problems else None
            return f"{CONFIG_MAP_REFERENCE}{namespace}/{reference.name}", told, fine
    why = problems[-1].message
    refused = Problem("NoValidCACertificate", f"Certificate reference invalid: {why}")
    return _INVALID, problems[-1], refused.refuses("Accepted")


def _add(
    policy: Policy,
    target: TargetPort,
    tls: ClientTLSSettings | None,
    reference: LocalPolicyTargetReference,
    collected: dict[str, _Collected],
) -> bool:
    """Add what a policy says of a target; False if an older policy has spoken already."""
    meta = policy.metadata
    known = collected.get(target.host)
    if known is None:
        known = _Collected(meta.namespace, reference.name, meta.creation_timestamp)
    if isinstance(policy, XBackendTrafficPolicy):
        if known.balanced:
            return False
        known.balanced, known.budget = True, _budget(policy)
    elif target.port in known.tls:
        return False
    elif tls is not None:
        known.tls[target.port] = tls
    parent = f"{policy.kind}/{meta.namespace}.{meta.name}"
    if parent not in known.parents:
        known.parents.append(parent)
    collected[target.host] = known
    return True


def _budget(policy: XBackendTrafficPolicy) -> RetryBudget | None:
    constraint = policy.spec.retry_constraint
    if constraint is None:
        return None
    return RetryBudget(
        percent=float(constraint.budget.percent),
        budget_interval=constraint.budget.interval,
        min_retry_concurrency=constraint.min_retry_rate.count,
    )


def _rule(host: str, collected: _Collected, grpc: set[int]) -> DestinationRule:
    everywhere = collected.tls.get(0)
    policy = TrafficPolicy(
        tls=everywhere,
        load_balancer=LoadBalancerSettings() if collected.balanced else None,
        retry_budget=collected.budget,
        port_level_settings=tuple(_port_settings(collected, grpc)),
    )
    return DestinationRule(
        api_version=ISTIO_API,
        kind="DestinationRule",
        metadata=ObjectMeta(
            name=f"{collected.name}~{GENERATED}",
            namespace=collected.namespace,
            annotations={PARENTS: ",".join(collected.parents)},
            creation_timestamp=collected.created,
        ),
        spec=DestinationRuleSpec(host=host, traffic_policy=policy, export_to=("*",)),
    )


def _port_settings(collected: _Collected, grpc: set[int]) -> Iterator[PortTrafficPolicy]:
    base = PortTrafficPolicy(load_balancer=LoadBalancerSettings() if collected.balanced else None)
    everywhere = collected.tls.get(0)
    spoken = {port: everywhere for port in grpc if everywhere is not None}
    for port, tls in sorted({**spoken, **collected.tls}.items()):
        if port:
            pool = _HTTP2 if port in grpc else None
            number = PortSelector(number=port)
            yield msgspec.structs.replace(base, port=number, tls=tls, connection_pool=pool)
