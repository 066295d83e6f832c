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
    """Return, by namespace and host, the merged rules: those with a selector before the one
    without.
    """
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
    root = mesh.root_namespace
    for step in dict.fromkeys((namespace if namespace != root else "", service.namespace, root)):
        rules = index.get(step, _NO_RULES)
        for host in rules.hosts_for(service.hostname):
            seen = [
                rule
                for rule in rules.by_host[host]
                if step == namespace or _visible(rule, namespace, mesh)
            ]
            if seen:
                if (rule := _for_labels(seen, namespace, labels)) is not None:
                    return rule
                break
    return None


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


def _visible(rule: DestinationRule, namespace: str, mesh: MeshConfig) -> bool:
    export_to = exported_to(
        rule.spec.export_to, rule.metadata.namespace, mesh.default_destination_rule_export_to
    )
    return visible(export_to, namespace)


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
