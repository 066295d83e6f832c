"""What the policies of one workload say of one request: filter after filter, as Envoy runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from clew._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRBAC
from clew._pb.envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRBAC
from clew.compile.policy_filters import ALLOW, CUSTOM, DENY, http_configs, network_configs
from clew.compile.rbac_verdict import Request, matching_rule
from clew.model.mesh_config import MeshConfig
from clew.snapshot.authorization_policies import Authorization


class Outcome(StrEnum):
    """ASKED: an external authorizer decides, and nothing else denies."""

    ALLOWED = "allowed"
    DENIED = "denied"
    ASKED = "asked"


Filters = Mapping[str, HttpRBAC | NetworkRBAC]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``rule``: the name of the rule that decides, "" if none does.

    ``dry_runs``: what policies would say that are only tried.
    """

    outcome: Outcome
    rule: str = ""
    reason: str = ""
    dry_runs: tuple[str, ...] = ()


def filters_of(authorization: Authorization, mesh: MeshConfig, *, tcp: bool) -> Filters:
    """Return the RBAC filters in front of what a workload serves, by name."""
    return dict(_filters(authorization, mesh, tcp=tcp))


def decide(filters: Filters, request: Request) -> Verdict:
    """Return what happens to a request, or to a connection.

    What tokens claim is taken from the request: whether they are good is not looked at.
    """
    dry_runs = tuple(_dry_runs(filters, request))
    denied = _denied(filters, request)
    if denied is not None:
        rule, reason = denied
        return Verdict(outcome=Outcome.DENIED, rule=rule, reason=reason, dry_runs=dry_runs)
    if CUSTOM in filters and (asked := matching_rule(filters[CUSTOM].shadow_rules, request)):
        reason = "the external authorizer decides"
        return Verdict(outcome=Outcome.ASKED, rule=asked, reason=reason, dry_runs=dry_runs)
    rule = matching_rule(filters[ALLOW].rules, request) if ALLOW in filters else ""
    reason = "" if rule else "no policy is about it"
    return Verdict(outcome=Outcome.ALLOWED, rule=rule, reason=reason, dry_runs=dry_runs)


def _filters(
    authorization: Authorization, mesh: MeshConfig, *, tcp: bool
) -> Iterator[tuple[str, HttpRBAC | NetworkRBAC]]:
    configs = (
        network_configs(authorization, mesh)
        if tcp
        else http_configs(authorization, (), mesh, router=False)
    )
    for name, config in configs:
        found = NetworkRBAC() if tcp else HttpRBAC()
        if config.Unpack(found):
            yield name, found


def _denied(filters: Filters, request: Request) -> tuple[str, str] | None:
    """The rule and the reason why a request is denied; None if it is not."""
    for name in (CUSTOM, DENY):
        if name in filters and (rule := matching_rule(filters[name].rules, request)):
            return rule, "" if name == DENY else "there is no external authorizer to ask"
    if _narrows(filters) and not matching_rule(filters[ALLOW].rules, request):
        return "", "there are ALLOW policies, and no rule of them matches"
    return None


def _narrows(filters: Filters) -> bool:
    return ALLOW in filters and filters[ALLOW].HasField("rules")


def _dry_runs(filters: Filters, request: Request) -> Iterator[str]:
    if DENY in filters and (rule := matching_rule(filters[DENY].shadow_rules, request)):
        yield f"{rule} would deny it"
    if ALLOW in filters and filters[ALLOW].HasField("shadow_rules"):
        rule = matching_rule(filters[ALLOW].shadow_rules, request)
        yield f"{rule} would allow it" if rule else "no ALLOW rule that is tried would allow it"
