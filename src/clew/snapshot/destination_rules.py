"""Which DestinationRule holds for a host, as one proxy's namespace sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from clew.model.base import age_order
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.names import short_to_fqdn
from clew.model.service import Service
from clew.snapshot.export import exported_to, visible
from clew.snapshot.hosts import is_wildcard, most_specific
from clew.snapshot.labels import selects
from clew.snapshot.services import DOMAIN

RulesByHost = Mapping[str, tuple[DestinationRule, ...]]


def index_destination_rules(
    resources: Iterable[DestinationRule], mesh: MeshConfig
) -> dict[str, RulesByHost]:
    """Return, by namespace and host, the merged rules: those with a selector before the one
    without.
    """
    grouped: dict[str, dict[str, list[DestinationRule]]] = {}
    for rule in sorted(resources, key=age_order):
        host = short_to_fqdn(rule.spec.host, rule.metadata.namespace, DOMAIN)
        full = msgspec.structs.replace(rule, spec=msgspec.structs.replace(rule.spec, host=host))
        grouped.setdefault(rule.metadata.namespace, {}).setdefault(host, []).append(full)
    return {
        namespace: {host: _merge(rules, mesh) for host, rules in hosts.items()}
        for namespace, hosts in grouped.items()
    }


def destination_rule_for(
    service: Service,
    namespace: str,
    labels: Mapping[str, str],
    index: Mapping[str, RulesByHost],
    mesh: MeshConfig,
) -> DestinationRule | None:
    """Return the rule in force: of the proxy's namespace, else the service's, else the root's.

    The first namespace with a matching rule wins; rules are never merged across namespaces.
    Source: istio ``destinationRule`` in ``push_context.go``.
    """
    root = mesh.root_namespace
    steps = dict.fromkeys(
        n for n in (namespace if namespace != root else "", service.namespace, root) if n
    )
    for step in steps:
        rules = index.get(step, {})
        seen = {
            host: [r for r in group if _visible(r, namespace, own=step == namespace, mesh=mesh)]
            for host, group in rules.items()
        }
        known = [host for host, group in seen.items() if group]
        host = most_specific(service.hostname, known, [h for h in known if is_wildcard(h)])
        if host is not None and (rule := _for_labels(seen[host], namespace, labels)) is not None:
            return rule
    return None


def _visible(rule: DestinationRule, namespace: str, *, own: bool, mesh: MeshConfig) -> bool:
    export_to = exported_to(
        rule.spec.export_to, rule.metadata.namespace, mesh.default_destination_rule_export_to
    )
    return own or visible(export_to, namespace)


def _for_labels(
    rules: Sequence[DestinationRule], namespace: str, labels: Mapping[str, str]
) -> DestinationRule | None:
    for rule in rules:
        selector = rule.spec.workload_selector
        if selector is None:
            return rule
        if rule.metadata.namespace == namespace and selects(selector.match_labels, labels):
            return rule
    return None


def _merge(rules: Sequence[DestinationRule], mesh: MeshConfig) -> tuple[DestinationRule, ...]:
    """Join rules of one host, oldest first: their subsets add up, the first policy holds."""
    selecting: list[DestinationRule] = []
    plain: list[DestinationRule] = []
    for rule in rules:
        target = selecting if rule.spec.workload_selector is not None else plain
        twin = next((r for r in target if _mergeable(r, rule, mesh)), None)
        if twin is None:
            target.append(rule)
        else:
            target[target.index(twin)] = _joined(twin, rule)
    return (*selecting, *plain)


def _mergeable(one: DestinationRule, other: DestinationRule, mesh: MeshConfig) -> bool:
    default = mesh.default_destination_rule_export_to

    def export_to(rule: DestinationRule) -> frozenset[str]:
        return exported_to(rule.spec.export_to, rule.metadata.namespace, default)

    same_selector = one.spec.workload_selector == other.spec.workload_selector
    return same_selector and export_to(one) == export_to(other)


def _joined(first: DestinationRule, later: DestinationRule) -> DestinationRule:
    names = {subset.name for subset in first.spec.subsets}
    added = tuple(s for s in later.spec.subsets if s.name not in names)
    policy = first.spec.traffic_policy or later.spec.traffic_policy
    spec = msgspec.structs.replace(
        first.spec, subsets=first.spec.subsets + added, traffic_policy=policy
    )
    return msgspec.structs.replace(first, spec=spec)
