"""What compiling for one proxy says of single objects: the one list of such findings.

They are worked out when somebody asks for an object's status, never while changes are published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from clew.compile.envoy_filter.findings import (
    patches_at_start,
    patches_that_match_nothing,
    patches_with_problems,
)
from clew.compile.gateway_servers import dropped_servers
from clew.compile.memo import Memo
from clew.compile.missing_secrets import rules_without_secrets, servers_without_secrets
from clew.compile.proxy import applied_patches
from clew.compile.rbac_findings import policies_without_authorizer, rules_on_tcp
from clew.model.diagnostic import Diagnostic
from clew.snapshot.scope import ProxyScope

Find = Callable[[ProxyScope, Memo], Iterable[Diagnostic]]


def _servers_left_out(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return dropped_servers(scope.gateway) if scope.gateway is not None else ()


def _secrets_of_servers(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return servers_without_secrets(scope.gateway) if scope.gateway is not None else ()


def _secrets_of_rules(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return rules_without_secrets(scope)


def _policies_without_authorizer(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return policies_without_authorizer(scope)


def _rules_on_tcp(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return rules_on_tcp(scope)


def _patches_left_out(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return patches_with_problems(scope.patches)


def _patches_at_start(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return patches_at_start(scope.patches)


def _patches_nowhere(scope: ProxyScope, memo: Memo) -> Iterable[Diagnostic]:
    return patches_that_match_nothing(scope.patches, applied_patches(scope, memo))


# True of an object as soon as one proxy that it concerns says so.
FINDINGS: tuple[Find, ...] = (
    _servers_left_out,
    _secrets_of_servers,
    _secrets_of_rules,
    _policies_without_authorizer,
    _rules_on_tcp,
    _patches_left_out,
    _patches_at_start,
)

# True of an object only if every proxy that it concerns says so: a patch that matches nothing
# in one of them may be meant for the other.
FINDINGS_OF_ALL: tuple[Find, ...] = (_patches_nowhere,)


def scope_findings(scope: ProxyScope, memo: Memo) -> tuple[Diagnostic, ...]:
    """Return what holds as soon as it holds for the proxies of this scope."""
    return tuple(found for find in FINDINGS for found in find(scope, memo))


def scope_findings_of_all(scope: ProxyScope, memo: Memo) -> tuple[Diagnostic, ...]:
    """Return what holds if the scopes of all proxies that the object concerns say it alike."""
    return tuple(found for find in FINDINGS_OF_ALL for found in find(scope, memo))
