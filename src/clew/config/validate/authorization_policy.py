"""Istio's admission rules for AuthorizationPolicy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.scalars import is_address_or_range
from clew.config.validate.selectors import check_targets
from clew.model.authorization_policy import (
    AuthorizationAction,
    AuthorizationPolicy,
    Condition,
    Operation,
    Rule,
    Source,
)

_KEYS = frozenset(
    "source.ip remote.ip source.namespace source.serviceAccount source.principal "
    "source.trustDomain request.auth.principal request.auth.audiences request.auth.presenter "
    "destination.ip destination.port connection.sni".split()
)
_KEYS_WITH_NAME = re.compile(
    r"(request\.headers|request\.experimental\.inline\.headers|request\.auth\.claims"
    r"|experimental\.envoy\.filters\.[^\[]+)(\[[^\[\]]+\])+"
)
_PATH_OPERATORS = ("{*}", "{**}")
_PATH_LITERAL = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")
_ADDRESSES = frozenset({"source.ip", "remote.ip", "destination.ip"})
# What an external authorizer is asked before: nobody has authenticated anything then.
_NOT_CUSTOM_KEYS = (
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "source.trustDomain",
    "request.auth.",
)
_BOOLEANS = frozenset("1 t T TRUE true True 0 f F FALSE false False".split())
_DRY_RUN = "istio.io/dry-run"


def validate_authorization_policy(resource: AuthorizationPolicy) -> Iterator[Finding]:
    spec = resource.spec
    action = spec.action or AuthorizationAction.ALLOW
    yield from check_targets(spec)
    yield from _check_action(resource, action)
    for index, rule in enumerate(spec.rules):
        yield from _check_rule(rule, action, ("spec", "rules", index))


def _check_action(resource: AuthorizationPolicy, action: AuthorizationAction) -> Iterator[Finding]:
    spec, dry_run = resource.spec, resource.metadata.annotations.get(_DRY_RUN)
    custom = action is AuthorizationAction.CUSTOM
    if custom and not (spec.provider and spec.provider.name):
        yield Finding(("spec", "provider"), "action CUSTOM needs the name of a provider")
    if not custom and spec.provider is not None:
        yield Finding(("spec", "provider"), "only action CUSTOM has a provider")
    if not spec.rules and action in (AuthorizationAction.DENY, AuthorizationAction.CUSTOM):
        hint = "to match every request: rules: [{}]"
        yield Finding(("spec", "rules"), f"action {action} needs rules", hint)
    if dry_run is not None:
        at = ("metadata", "annotations", _DRY_RUN)
        if action not in (AuthorizationAction.ALLOW, AuthorizationAction.DENY):
            yield Finding(at, f"action {action} has no dry run")
        if dry_run not in _BOOLEANS:
            yield Finding(at, f'"{dry_run}" is neither true nor false')


def _check_rule(rule: Rule, action: AuthorizationAction, path: FieldPath) -> Iterator[Finding]:
    custom = action is AuthorizationAction.CUSTOM
    for index, sender in enumerate(rule.from_):
        at = (*path, "from", index, "source")
        if sender.source is None or sender.source == Source():
            yield Finding(at, "the source is empty")
        else:
            yield from _check_source(sender.source, at, custom=custom)
    for index, target in enumerate(rule.to):
        at = (*path, "to", index, "operation")
        if target.operation is None or target.operation == Operation():
            yield Finding(at, "the operation is empty")
        else:
            yield from _check_operation(target.operation, at)
    for index, condition in enumerate(rule.when):
        yield from _check_condition(condition, (*path, "when", index), custom=custom)
    if action is AuthorizationAction.DENY and _only_http(rule):
        problem = "with attributes of HTTP only, this denies all connections of TCP ports"
        yield Finding(path, problem, "name the ports: to: [{operation: {ports: [...]}}]", True)


def _only_http(rule: Rule) -> bool:
    """Has this rule nothing that plain TCP has too, apart from conditions?

    Source: istio ``ValidateAuthorizationPolicy``.
    """
    sources = [each.source for each in rule.from_ if each.source is not None]
    operations = [each.operation for each in rule.to if each.operation is not None]
    if operations:
        return not any(each.ports or each.not_ports for each in operations)
    return bool(sources) and not any(_of_connection(source) for source in sources)


def _of_connection(source: Source) -> bool:
    tokens = {"request_principals", "not_request_principals"}
    return any(getattr(source, name) for name in Source.__struct_fields__ if name not in tokens)


def _check_source(source: Source, path: FieldPath, *, custom: bool) -> Iterator[Finding]:
    identities = {
        "principals": source.principals,
        "notPrincipals": source.not_principals,
        "namespaces": source.namespaces,
        "notNamespaces": source.not_namespaces,
    }
    accounts = {
        "serviceAccounts": source.service_accounts,
        "notServiceAccounts": source.not_service_accounts,
    }
    tokens = {
        "requestPrincipals": source.request_principals,
        "notRequestPrincipals": source.not_request_principals,
        "trustDomains": source.trust_domains,
        "notTrustDomains": source.not_trust_domains,
    }
    ranges = {
        "ipBlocks": source.ip_blocks,
        "notIpBlocks": source.not_ip_blocks,
        "remoteIpBlocks": source.remote_ip_blocks,
        "notRemoteIpBlocks": source.not_remote_ip_blocks,
    }
    yield from _check_not_empty({**identities, **accounts, **tokens}, path)
    if any(accounts.values()) and any(identities.values()):
        yield Finding(path, "serviceAccounts exclude principals and namespaces")
    if custom:
        for name, values in {**identities, **accounts, **tokens}.items():
            if values:
                yield Finding((*path, name), f"action CUSTOM cannot use {name}")
    for name, values in accounts.items():
        yield from _check_accounts(values, (*path, name))
    for name, values in ranges.items():
        yield from _check_addresses(values, (*path, name))


def _check_accounts(values: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    if len(values) > 16:
        yield Finding(path, f"{len(values)} service accounts, and at most 16 are allowed")
    for index, value in enumerate(values):
        parts = value.split("/")
        if "*" in value or len(parts) > 2 or "" in parts or len(value) > 320:
            problem = f'"{value}" is not <name> or <namespace>/<name>'
            yield Finding((*path, index), problem)


def _check_operation(operation: Operation, path: FieldPath) -> Iterator[Finding]:
    texts = {
        "hosts": operation.hosts,
        "notHosts": operation.not_hosts,
        "methods": operation.methods,
        "notMethods": operation.not_methods,
        "paths": operation.paths,
        "notPaths": operation.not_paths,
    }
    yield from _check_not_empty(texts, path)
    for name in ("paths", "notPaths"):
        for index, value in enumerate(texts[name]):
            if problem := _path_problem(value):
                yield Finding((*path, name, index), problem)
    yield from _check_ports(operation.ports, (*path, "ports"))
    yield from _check_ports(operation.not_ports, (*path, "notPorts"))


def _path_problem(path: str) -> str:
    """Why this is not a path with operators, or "". Source: istio ``CheckValidPathTemplate``."""
    segments = path.strip("/").split("/")
    operators = [segment in _PATH_OPERATORS for segment in segments]
    if "{**}" in segments and any(operators[segments.index("{**}") + 1 :]):
        return f'"{path}": {{**}} must be the last operator'
    for segment, is_operator in zip(segments, operators, strict=True):
        if is_operator:
            continue
        if "{" in segment or "}" in segment:
            return f'"{path}": braces are for the operators {{*}} and {{**}} alone'
        if any(operator in path for operator in _PATH_OPERATORS) and not _PATH_LITERAL.fullmatch(
            segment
        ):
            return f'"{path}": "{segment}" cannot stand beside operators'
    return ""


def _check_condition(condition: Condition, path: FieldPath, *, custom: bool) -> Iterator[Finding]:
    key = condition.key
    if key not in _KEYS and not _KEYS_WITH_NAME.fullmatch(key):
        yield Finding((*path, "key"), f'"{key}" is not an attribute', f"such as {min(_KEYS)}")
    if custom and key.startswith(_NOT_CUSTOM_KEYS):
        yield Finding((*path, "key"), f"action CUSTOM cannot use {key}")
    if not condition.values and not condition.not_values:
        yield Finding(path, "set values, notValues or both")
    for name, values in (("values", condition.values), ("notValues", condition.not_values)):
        if key in _ADDRESSES:
            yield from _check_addresses(values, (*path, name))
        elif key == "destination.port":
            yield from _check_ports(values, (*path, name))
        elif key == "source.serviceAccount":
            yield from _check_accounts(values, (*path, name))
        else:
            yield from _check_not_empty({name: values}, path)


def _check_not_empty(fields: Mapping[str, Sequence[str]], path: FieldPath) -> Iterator[Finding]:
    for name, values in fields.items():
        if "" in values:
            yield Finding((*path, name, values.index("")), "the value is empty")


def _check_addresses(values: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if not is_address_or_range(value):
            yield Finding((*path, index), f'"{value}" is not an IP address or CIDR')


def _check_ports(values: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if not (value.isdecimal() and int(value) <= 65535):
            yield Finding((*path, index), f'"{value}" is not a port')
