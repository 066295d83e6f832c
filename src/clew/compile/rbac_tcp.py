"""What of a rule holds for connections of which Envoy does not know that they carry HTTP."""

from __future__ import annotations

from clew.compile.rbac_principals import CLAIMS, HEADERS, LISTED_HEADERS
from clew.model.authorization_policy import (
    AuthorizationAction,
    Operation,
    Rule,
    RuleFrom,
    RuleTo,
    Source,
)

_HTTP_CONDITIONS = (HEADERS, LISTED_HEADERS, CLAIMS, "request.auth.")
_HTTP_SOURCE = ("request_principals", "not_request_principals")
_HTTP_OPERATION = ("hosts", "not_hosts", "methods", "not_methods", "paths", "not_paths")


def has_http(rule: Rule) -> bool:
    """Whether a rule asks for something that only HTTP has."""
    return rule != without_http(rule)


def on_tcp(rule: Rule, action: AuthorizationAction) -> Rule | None:
    """Return the rule as it holds for TCP, None if it does not.

    What only HTTP has is not there, so ALLOW cannot match; of every other action it is left out,
    which denies too much rather than too little.
    Source: istio ``rule.checkError``.
    """
    if action is AuthorizationAction.ALLOW and has_http(rule):
        return None
    return without_http(rule)


def without_http(rule: Rule) -> Rule:
    return Rule(
        from_=tuple(RuleFrom(source=_source(each.source)) for each in rule.from_),
        to=tuple(RuleTo(operation=_operation(each.operation)) for each in rule.to),
        when=tuple(each for each in rule.when if not each.key.startswith(_HTTP_CONDITIONS)),
    )


def _source(source: Source | None) -> Source | None:
    if source is None or not any(getattr(source, name) for name in _HTTP_SOURCE):
        return source
    kept = (name for name in Source.__struct_fields__ if name not in _HTTP_SOURCE)
    return Source(**{name: getattr(source, name) for name in kept})


def _operation(operation: Operation | None) -> Operation | None:
    if operation is None or not any(getattr(operation, name) for name in _HTTP_OPERATION):
        return operation
    return Operation(ports=operation.ports, not_ports=operation.not_ports)
