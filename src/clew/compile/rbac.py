"""AuthorizationPolicies as Envoy's RBAC rules; the names of rules say where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clew._pb.envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from clew._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRBAC
from clew._pb.envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRBAC
from clew.compile.rbac_permissions import compile_permissions
from clew.compile.rbac_principals import compile_principals
from clew.compile.rbac_tcp import on_tcp
from clew.model.authorization_policy import AuthorizationAction, AuthorizationPolicy, Rule
from clew.snapshot.authorization_policies import is_dry_run

# Where dynamic metadata and statistics tell what a dry run would have done.
DRY_RUN_ALLOW, DRY_RUN_DENY = "istio_dry_run_allow_", "istio_dry_run_deny_"
NETWORK_STATS = "tcp."

_ACTIONS = {
    AuthorizationAction.ALLOW: RBAC.ALLOW,
    AuthorizationAction.DENY: RBAC.DENY,
    AuthorizationAction.AUDIT: RBAC.LOG,
    # Not enforced: it says which requests the authorizer is to be asked about.
    AuthorizationAction.CUSTOM: RBAC.DENY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Of what the rules are to speak. ``trust_domains``: the mesh's own, then its aliases."""

    tcp: bool
    trust_domains: tuple[str, ...]


def rule_name(policy: AuthorizationPolicy, number: int) -> str:
    """``ns[shop]-policy[reviews]-rule[0]``: Istio's, for tools and people that read it."""
    meta = policy.metadata
    return f"ns[{meta.namespace}]-policy[{meta.name}]-rule[{number}]"


def compile_http_rbac(
    policies: Sequence[AuthorizationPolicy], action: AuthorizationAction, dialect: Dialect
) -> HttpRBAC:
    """The filter for all policies of one action. Without any, it passes every request.

    Source: istio ``authz/builder``.
    """
    enforced, dry = _split(policies)
    deny = action is AuthorizationAction.DENY
    return HttpRBAC(
        rules=compile_rules(enforced, action, dialect),
        shadow_rules=compile_rules(dry, action, dialect),
        shadow_rules_stat_prefix=DRY_RUN_DENY if deny else DRY_RUN_ALLOW,
    )


def compile_network_rbac(
    policies: Sequence[AuthorizationPolicy], action: AuthorizationAction, dialect: Dialect
) -> NetworkRBAC:
    """The same for connections. Without any policy, it passes every connection."""
    enforced, dry = _split(policies)
    deny = action is AuthorizationAction.DENY
    return NetworkRBAC(
        rules=compile_rules(enforced, action, dialect),
        shadow_rules=compile_rules(dry, action, dialect),
        shadow_rules_stat_prefix=DRY_RUN_DENY if deny else DRY_RUN_ALLOW,
        stat_prefix=NETWORK_STATS,
    )


def _split(
    policies: Iterable[AuthorizationPolicy],
) -> tuple[list[AuthorizationPolicy], list[AuthorizationPolicy]]:
    """Those that are enforced, and those that only say what they would do."""
    enforced: list[AuthorizationPolicy] = []
    dry: list[AuthorizationPolicy] = []
    for policy in policies:
        (dry if is_dry_run(policy) else enforced).append(policy)
    return enforced, dry


def compile_rules(
    policies: Sequence[AuthorizationPolicy],
    action: AuthorizationAction,
    dialect: Dialect,
    *,
    prefix: str = "",
    suffix: str = "",
) -> RBAC | None:
    """The rules of all policies; None without policies, which is not the same as without rules.

    ``prefix`` and ``suffix``: of the rules' names.
    """
    if not policies:
        return None
    found = RBAC(action=_ACTIONS[action])
    for policy in policies:
        for number, rule in enumerate(policy.spec.rules):
            compiled = _rule(rule, policy.metadata.namespace, action, dialect)
            if compiled is not None:
                name = f"{prefix}{rule_name(policy, number)}{suffix}"
                found.policies[name].CopyFrom(compiled)
        if not policy.spec.rules:
            found.policies[f"{prefix}{rule_name(policy, 0)}{suffix}"].CopyFrom(_NEVER)
    return found


def _rule(
    rule: Rule, namespace: str, action: AuthorizationAction, dialect: Dialect
) -> Policy | None:
    spoken = on_tcp(rule, action) if dialect.tcp else rule
    if spoken is None:
        return None
    return Policy(
        permissions=compile_permissions(spoken),
        principals=compile_principals(spoken, namespace, dialect.trust_domains),
    )


_NEVER = Policy(
    permissions=[Permission(not_rule=Permission(any=True))],
    principals=[Principal(not_id=Principal(any=True))],
)
