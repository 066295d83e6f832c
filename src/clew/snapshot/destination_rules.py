"""Which DestinationRule holds for a host, as one proxy's namespace sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from clew.model.base import age_order
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.names import short_to_fqdn
from clew.model.service import Service
from clew.snapshot.export import exported_to, visible
from clew.snapshot.hosts import covers, is_wildcard
from clew.snapshot.labels import selects
from clew.snapshot.services import DOMAIN


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HostRules:
    """The merged rules of one namespace. ``wildcards``: their hosts, the most specific first."""

    by_host: Mapping[str, tuple[DestinationRule, ...]]
    wildcards: tuple[str, ...]

    def hosts_for(self, hostname: str) -> Iterator[str]:
        """Yield the hosts whose rules may hold for a service, the most specific first."""
        if hostname in self.by_host:
            yield hostname
        yield from (w for w in self.wildcards if w != hostname and covers(w, hostname))


_NO_RULES = HostRules(by_host={}, wildcards=())


def index_destination_rules(
    resources: Iterable[DestinationRule], mesh: MeshConfig
) -> dict[str, HostRules]:
    """Return, by namespace and host, the merged rules."""
    grouped: dict[str, dict[str, list[DestinationRule]]] = {}
    for rule in sorted(resources, key=age_order):
        host = rule_host(rule)
        full = msgspec.structs.replace(rule, spec=msgspec.structs.replace(rule.spec, host=host))
        grouped.setdefault(rule.metadata.namespace, {}).setdefault(host, []).append(full)
    return {
        namespace: HostRules(
            by_host={host: _merge(rules, mesh) for host, rules in hosts.items()},
            wildcards=tuple(sorted(filter(is_wildcard, hosts), key=lambda h: (-len(h), h))),
        )
        for namespace, hosts in grouped.items()
    }


def change_destination_rules(
    before: Mapping[str, HostRules],
    rules: Iterable[DestinationRule],
    changed: frozenset[str],
    mesh: MeshConfig,
) -> dict[str, HostRules]:
    """Return the index after changes in these namespaces; equal rules stay the same objects."""
    found = index_destination_rules((r for r in rules if r.metadata.namespace in changed), mesh)
    for namespace, hosts in found.items():
        old = before[namespace].by_host if namespace in before else {}
        kept = {
            host: old[host] if old.get(host) == rules_of_host else rules_of_host
            for host, rules_of_host in hosts.by_host.items()
        }
        found[namespace] = replace(hosts, by_host=kept)
    return {**{n: hosts for n, hosts in before.items() if n not in changed}, **found}


def rule_host(rule: DestinationRule) -> str:
    return short_to_fqdn(rule.spec.host, rule.metadata.namespace, DOMAIN)


def destination_rule_for(
    service: Service,
    namespace: str,
    labels: Mapping[str, str],
    index: Mapping[str, HostRules],
    mesh: MeshConfig,
) -> DestinationRule | None:
    """Return the rule in force: of the proxy's namespace, else the service's, else the root's.

    The first namespace with a matching rule wins; rules are never merged across namespaces.
    Source: istio ``destinationRule`` in ``push_context.go``.
    """
    found = _local(service.hostname, namespace, index, mesh)
    for step in dict.fromkeys((service.namespace, mesh.root_namespace)):
        found = found or _exported(service.hostname, step, namespace, index, mesh)
    return _for_labels(found, namespace, labels)


def _local(
    hostname: str, namespace: str, index: Mapping[str, HostRules], mesh: MeshConfig
) -> Sequence[DestinationRule]:
    """Return the rules for a host of the proxy's own namespace, whoever else may see them.

    Those of the root namespace are for everybody, unless they are only for itself.
    """
    rules = index.get(namespace, _NO_RULES)
    for host in rules.hosts_for(hostname):
        found = rules.by_host[host]
        if namespace == mesh.root_namespace:
            found = tuple(rule for rule in found if export_of(rule, mesh) == {namespace})
        if found:
            return found
    return ()


def _exported(
    hostname: str, owner: str, namespace: str, index: Mapping[str, HostRules], mesh: MeshConfig
) -> Sequence[DestinationRule]:
    """Return the rules for a host that ``owner`` exports to the proxy's namespace.

    One that is exported to others only hides those of wider hosts all the same.
    """
    rules = index.get(owner, _NO_RULES)
    for host in rules.hosts_for(hostname):
        found = [rule for rule in rules.by_host[host] if export_of(rule, mesh) != {owner}]
        if found:
            return [rule for rule in found if visible(export_of(rule, mesh), namespace)]
    return ()


def merged_in(rule: DestinationRule, written: Iterable[DestinationRule]) -> list[DestinationRule]:
    """Return, oldest first, the rules as they are written that one in force may be merged from."""
    found = (
        each
        for each in written
        if each.metadata.namespace == rule.metadata.namespace
        and rule_host(each) == rule.spec.host
        and each.spec.workload_selector == rule.spec.workload_selector
    )
    return sorted(found, key=age_order)


def selected_labels(index: Mapping[str, HostRules], namespace: str) -> frozenset[str]:
    """Return the labels by which a namespace's rules choose the proxies that they are for."""
    rules = index.get(namespace)
    return frozenset(
        label
        for group in (rules.by_host.values() if rules else ())
        for rule in group
        if rule.spec.workload_selector is not None
        for label in rule.spec.workload_selector.match_labels
    )


def export_of(rule: DestinationRule, mesh: MeshConfig) -> frozenset[str]:
    default = mesh.default_destination_rule_export_to
    return exported_to(rule.spec.export_to, rule.metadata.namespace, default)


def _for_labels(
    rules: Sequence[DestinationRule], namespace: str, labels: Mapping[str, str]
) -> DestinationRule | None:
    """Return the rule that selects a proxy with these labels, else the last that selects nobody.

    Source: istio ``SidecarScope.DestinationRule``.
    """
    for_all = None
    for rule in rules:
        selector = rule.spec.workload_selector
        if selector is None:
            for_all = rule
        elif rule.metadata.namespace == namespace and selects(selector.match_labels, labels):
            return rule
    return for_all


def _merge(rules: Sequence[DestinationRule], mesh: MeshConfig) -> tuple[DestinationRule, ...]:
    """Join rules of one host, oldest first: their subsets add up, the first policy holds.

    One that is exported further than an older one adds to it and stands for itself as well.
    Source: istio ``mergeDestinationRule``.
    """
    merged: list[DestinationRule] = []
    for rule in rules:
        export_to, alone = export_of(rule, mesh), True
        for place, older in enumerate(merged):
            same = older.spec.workload_selector == rule.spec.workload_selector
            if same and export_to >= (exported := export_of(older, mesh)):
                merged[place] = _joined(older, rule)
                alone &= export_to != exported
        if alone:
            merged.append(rule)
    return tuple(merged)


def _joined(first: DestinationRule, later: DestinationRule) -> DestinationRule:
    names = {subset.name for subset in first.spec.subsets}
    added = tuple(s for s in later.spec.subsets if s.name not in names)
    policy = first.spec.traffic_policy or later.spec.traffic_policy
    spec = msgspec.structs.replace(
        first.spec, subsets=first.spec.subsets + added, traffic_policy=policy
    )
    return msgspec.structs.replace(first, spec=spec)
