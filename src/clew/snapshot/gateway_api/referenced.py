"""The Secrets and ConfigMaps that the Gateway API's objects name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew.model.base import ResourceKey
from clew.model.gateway_api.backend_tls_policy import BackendTLSPolicy
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.references import (
    LocalObjectReference,
    ObjectReference,
    SecretObjectReference,
)
from clew.snapshot.gateway_api.gateways import BoundGateway
from clew.snapshot.gateway_api.policies import Policies

_Reference = SecretObjectReference | ObjectReference | LocalObjectReference


def referenced_keys(bound: Iterable[BoundGateway], policies: Policies) -> Iterator[ResourceKey]:
    """Yield what a change of may change the conversion, whether or not it exists."""
    for each in bound:
        own = each.gateway.metadata.namespace
        yield from (_key(reference, own) for reference in _of_gateway(each.gateway))
        for listening in each.every_listener:
            namespace = listening.owner.metadata.namespace
            tls = listening.listener.tls
            yield from (_key(one, namespace) for one in (tls.certificate_refs if tls else ()))
    for judged in policies.judged:
        policy = judged.policy
        if isinstance(policy, BackendTLSPolicy):
            for authority in policy.spec.validation.ca_certificate_refs:
                yield _key(authority, policy.metadata.namespace)


def _of_gateway(gateway: KubernetesGateway) -> Iterator[_Reference]:
    tls = gateway.spec.tls
    if tls is None:
        return
    if tls.backend is not None and tls.backend.client_certificate_ref is not None:
        yield tls.backend.client_certificate_ref
    if tls.frontend is not None:
        configs = (tls.frontend.default, *(port.tls for port in tls.frontend.per_port))
        for config in configs:
            yield from config.validation.ca_certificate_refs if config.validation else ()


def _key(reference: _Reference, namespace: str) -> ResourceKey:
    if not isinstance(reference, LocalObjectReference):
        namespace = reference.namespace or namespace
    return ResourceKey(reference.group, reference.kind, namespace, reference.name)
