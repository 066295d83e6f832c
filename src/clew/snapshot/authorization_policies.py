"""Which AuthorizationPolicies bind a workload, and where the authorizers are that they ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clew.model.authorization_policy import AuthorizationAction, AuthorizationPolicy
from clew.model.base import Resource, age_order
from clew.model.extension_providers import ExtensionProvider
from clew.model.proxy import Proxy
from clew.model.service import Service
from clew.snapshot.policy_targets import binds

_DRY_RUN = "istio.io/dry-run"
_TRUE = frozenset("1 t T TRUE true True".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The policies of one workload by action, the root namespace's first, then the oldest.

    ``authorizers``: of the extension providers that ``custom`` names, by name, the hostname of
    the service that answers for each, as far as the mesh has it.
    """

    custom: tuple[AuthorizationPolicy, ...] = ()
    audit: tuple[AuthorizationPolicy, ...] = ()
    deny: tuple[AuthorizationPolicy, ...] = ()
    allow: tuple[AuthorizationPolicy, ...] = ()
    authorizers: tuple[tuple[str, str], ...] = ()

    @property
    def policies(self) -> tuple[AuthorizationPolicy, ...]:
        return (*self.custom, *self.audit, *self.deny, *self.allow)


UNRESTRICTED = Authorization()


def policies_of(
    root: Mapping[str, Resource], own: Mapping[str, Resource]
) -> tuple[AuthorizationPolicy, ...]:
    """Return the policies of the root namespace and of another one, in order."""
    return tuple(
        policy
        for space in (root, own)
        for policy in sorted(space.values(), key=age_order)
        if isinstance(policy, AuthorizationPolicy)
    )


def authorization_of(
    policies: Iterable[AuthorizationPolicy],
    proxy: Proxy,
    root_namespace: str,
    providers: Sequence[ExtensionProvider],
    services: Mapping[str, Sequence[Service]],
) -> Authorization:
    """Return what of ``policies``, which are in order, binds ``proxy``.

    ``services``: of the whole mesh, by hostname.
    """
    found: dict[AuthorizationAction, list[AuthorizationPolicy]] = {}
    for policy in policies:
        if binds(policy, proxy, root_namespace):
            found.setdefault(action_of(policy), []).append(policy)
    custom = tuple(found.get(AuthorizationAction.CUSTOM, ()))
    return Authorization(
        custom=custom,
        audit=tuple(found.get(AuthorizationAction.AUDIT, ())),
        deny=tuple(found.get(AuthorizationAction.DENY, ())),
        allow=tuple(found.get(AuthorizationAction.ALLOW, ())),
        authorizers=_authorizers(custom, providers, services),
    )


def action_of(policy: AuthorizationPolicy) -> AuthorizationAction:
    return policy.spec.action or AuthorizationAction.ALLOW


def is_dry_run(policy: AuthorizationPolicy) -> bool:
    """Whether a policy only says what it would do."""
    return policy.metadata.annotations.get(_DRY_RUN) in _TRUE


def provider_of(policy: AuthorizationPolicy) -> str:
    return policy.spec.provider.name if policy.spec.provider else ""


def _authorizers(
    custom: Iterable[AuthorizationPolicy],
    providers: Sequence[ExtensionProvider],
    services: Mapping[str, Sequence[Service]],
) -> tuple[tuple[str, str], ...]:
    wanted = {provider_of(policy) for policy in custom}
    found = {}
    for provider in providers:
        declared = provider.envoy_ext_authz_http or provider.envoy_ext_authz_grpc
        if declared is None or provider.name not in wanted:
            continue
        if hostname := service_of(declared.service, services):
            found[provider.name] = hostname
    return tuple(sorted(found.items()))


def service_of(written: str, services: Mapping[str, Sequence[Service]]) -> str:
    """Return the hostname that ``[namespace/]host`` means; "" if no service, or several, has it.

    Source: istio ``LookupCluster``.
    """
    namespace, slash, hostname = written.rpartition("/")
    places = {service.namespace for service in services.get(hostname, ())}
    known = namespace in places if slash else len(places) == 1
    return hostname if known else ""
