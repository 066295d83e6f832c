"""Which policies refuse the calls of somebody, and which of their rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clew.api.messages import Key, key_message
from clew.compile.policy_verdict import Outcome, decide
from clew.model.authorization_policy import AuthorizationAction, AuthorizationPolicy
from clew.model.proxy import Proxy
from clew.model.request_authentication import RequestAuthentication
from clew.model.service import Service
from clew.server.authorization import (
    NOBODY,
    callers_named,
    request_to,
    samples,
    targets_of,
)
from clew.snapshot.authorization import authorization_at
from clew.snapshot.authorization_policies import action_of, is_dry_run
from clew.snapshot.objects import objects_of
from clew.snapshot.policy_targets import binds
from clew.snapshot.snapshot import MeshSnapshot

# Source: Istio's names of rules.
_RULE = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]")
_UNAUTHENTICATED = 401
_DENY, _ALLOW = AuthorizationAction.DENY, AuthorizationAction.ALLOW


@dataclass(frozen=True, slots=True)
class Denier:
    """What refuses calls, in a sentence; ``key`` and ``field`` are where it says so.

    ``key`` is None where it may be several objects.
    """

    says: str
    key: Key | None = None
    field: str = ""


def denier(
    snapshot: MeshSnapshot,
    code: int,
    proxy: Proxy,
    service: Service | None,
    caller: tuple[str, str],
) -> Denier | None:
    """What of a proxy's policies refuses ``caller``, a namespace and a workload ("": nobody knows).

    ``code``: what the proxy answers, 401 or 403. None: no policy that it has refuses anything that
    rules speak of.
    """
    if code == _UNAUTHENTICATED:
        return token_rules(snapshot, proxy)
    policies = [p for p in authorization_at(snapshot, proxy).policies if not is_dry_run(p)]
    rules = dict.fromkeys(_deciding(snapshot, proxy, service, caller)) if service else {}
    forbidding = [each for each in rules if each]
    if forbidding:
        return _by_rules(forbidding, policies)
    allowing = [each for each in policies if action_of(each) is _ALLOW]
    if allowing and (rules or service is None):
        return _not_allowed(allowing)
    denying = [each for each in policies if action_of(each) is _DENY]
    if len(denying) == 1 and not allowing:
        return _forbidden(denying)
    return None


def connection_denier(snapshot: MeshSnapshot, proxy: Proxy) -> Denier | None:
    """What of a proxy's policies refuses connections, of which nobody knows whose they were.

    None: no policy that it has.
    """
    policies = [p for p in authorization_at(snapshot, proxy).policies if not is_dry_run(p)]
    denying = [each for each in policies if action_of(each) is _DENY]
    allowing = [each for each in policies if action_of(each) is _ALLOW]
    if denying and allowing:
        return Denier(f"{_forbidden(denying).says}, or {_not_allowed(allowing).says}")
    if denying:
        return _forbidden(denying)
    return _not_allowed(allowing) if allowing else None


def token_rules(snapshot: MeshSnapshot, proxy: Proxy) -> Denier | None:
    """Which rules refuse tokens at a proxy."""
    root = snapshot.mesh.root_namespace
    policies = objects_of(RequestAuthentication, snapshot.objects)
    found = [each for each in policies if each.spec.jwt_rules and binds(each, proxy, root)]
    if not found:
        return None
    names = ", ".join(f"{p.metadata.namespace}/{p.metadata.name}" for p in found)
    if len(found) > 1:
        return Denier(f"none of the RequestAuthentications {names} takes its token")
    issuers = ", ".join(rule.issuer for rule in found[0].spec.jwt_rules)
    field = "spec.jwtRules" if len(found[0].spec.jwt_rules) > 1 else "spec.jwtRules[0]"
    says = f"the token is not one of {issuers} that RequestAuthentication {names} takes"
    return Denier(says, key_message(found[0].key), field)


def _deciding(
    snapshot: MeshSnapshot, proxy: Proxy, service: Service, caller: tuple[str, str]
) -> Iterator[str]:
    """Yield the rule that denies each request that may be meant; "": no rule allows it."""
    namespace, workload = caller
    known = callers_named(snapshot, workload, namespace) if workload else ()
    who, served = known[0] if known else NOBODY, proxy.workload
    for port in service.ports:
        for target in targets_of(snapshot, service, port):
            for asked in samples(target.policies) if target.name == served else ():
                request = request_to(target, who, asked, snapshot.mesh.trust_domain)
                verdict = decide(target.filters, request)
                if verdict.outcome is Outcome.DENIED:
                    yield verdict.rule


def _by_rules(rules: Sequence[str], policies: Sequence[AuthorizationPolicy]) -> Denier:
    found = [match.groups() for each in rules if (match := _RULE.search(each))]
    named = dict.fromkeys((namespace, name) for namespace, name, _ in found)
    blamed = [p for p in policies if (p.metadata.namespace, p.metadata.name) in named]
    if len(blamed) != 1:
        return Denier(f"{_names(blamed)} forbid it")
    (policy,) = blamed
    if len(found) == 1:
        number = int(found[0][2])
        where = f"spec.rules[{number}]" if policy.spec.rules else "spec"
        return Denier(
            f"rule {number} of {_name(policy)} forbids it", key_message(policy.key), where
        )
    return Denier(f"rules of {_name(policy)} forbid it", key_message(policy.key), "spec.rules")


def _forbidden(policies: Sequence[AuthorizationPolicy]) -> Denier:
    if len(policies) > 1:
        return Denier(f"{_names(policies)} forbid it")
    (policy,) = policies
    return Denier(f"{_name(policy)} forbids it", key_message(policy.key), "spec.rules")


def _not_allowed(policies: Sequence[AuthorizationPolicy]) -> Denier:
    if len(policies) > 1:
        return Denier(f"no rule of {_names(policies)} allows it")
    (policy,) = policies
    if not policy.spec.rules:
        says = f"{_name(policy)} has no rules, so it allows nobody"
        return Denier(says, key_message(policy.key), "spec")
    says = f"no rule of {_name(policy)} allows it"
    return Denier(says, key_message(policy.key), "spec.rules")


def _name(policy: AuthorizationPolicy) -> str:
    return f"AuthorizationPolicy {policy.metadata.namespace}/{policy.metadata.name}"


def _names(policies: Iterable[AuthorizationPolicy]) -> str:
    names = [f"{p.metadata.namespace}/{p.metadata.name}" for p in policies]
    return f"the AuthorizationPolicies {', '.join(names)}"
