"""AuthorizationPolicy: who may do what."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.selectors import PolicySelector, PolicyTargetReference


class AuthorizationAction(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


class Source(Model, frozen=True, kw_only=True):
    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()
    not_trust_domains: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class Operation(Model, frozen=True, kw_only=True):
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class RuleFrom(Model, frozen=True, kw_only=True):
    source: Source | None = None


class RuleTo(Model, frozen=True, kw_only=True):
    operation: Operation | None = None


class Condition(Model, frozen=True, kw_only=True):
    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class Rule(Model, frozen=True, kw_only=True):
    from_: tuple[RuleFrom, ...] = ()
    to: tuple[RuleTo, ...] = ()
    when: tuple[Condition, ...] = ()


class AuthorizationProvider(Model, frozen=True, kw_only=True):
    name: str = ""


class AuthorizationPolicySpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    rules: tuple[Rule, ...] = ()
    action: AuthorizationAction | None = None
    provider: AuthorizationProvider | None = None


class AuthorizationPolicy(Resource, frozen=True, kw_only=True):
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()
