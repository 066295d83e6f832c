"""Which namespaces the mesh looks at, and how far their ServiceEntries may be seen."""

from __future__ import annotations

from collections.abc import Mapping

from clew.model.mesh_config import MeshConfig, Visibility
from clew.model.namespace import Namespace
from clew.snapshot.labels import fits
from clew.snapshot.objects import Objects, objects_of


def discovered(objects: Objects, mesh: MeshConfig) -> Objects:
    """Return the objects of namespaces that ``discoverySelectors`` choose; all without any.

    The root namespace is always among them, as is what has no namespace.
    """
    if not mesh.discovery_selectors:
        return objects
    chosen = {name for name, labels in _labels(objects).items() if _chosen(labels, mesh)}
    chosen |= {"", mesh.root_namespace}
    return {
        kind: {namespace: named for namespace, named in spaces.items() if namespace in chosen}
        for kind, spaces in objects.items()
    }


def is_discovered(namespace: str, objects: Objects, mesh: MeshConfig) -> bool:
    """Whether the mesh looks at a namespace."""
    if not mesh.discovery_selectors or namespace in ("", mesh.root_namespace):
        return True
    labels = _labels(objects).get(namespace)
    return labels is not None and _chosen(labels, mesh)


def limits_of_entries(objects: Objects, mesh: MeshConfig) -> Mapping[str, Visibility] | None:
    """Return by namespace how far its ServiceEntries may be seen; None: as they say themselves.

    The first policy that selects a namespace holds, then the default; what is not there is public.
    Source: Istio's ``serviceEntryVisibility``, which sidecars heed only if it says so.
    """
    declared = mesh.service_entry_visibility
    if declared is None or not declared.apply_to_sidecars:
        return None
    default = declared.default_visibility or Visibility.PUBLIC
    found = {}
    for namespace, labels in (_labels(objects) | _unlabelled(objects)).items():
        found[namespace] = next(
            (
                policy.visibility or Visibility.PUBLIC
                for policy in declared.policies
                if any(
                    rule.namespace_selector is not None and fits(rule.namespace_selector, labels)
                    for rule in policy.matching_rules
                )
            ),
            default,
        )
    return found


def limited(
    export_to: frozenset[str], namespace: str, limits: Mapping[str, Visibility] | None
) -> frozenset[str]:
    """Return what is left of an entry's ``exportTo`` in a namespace with such limits."""
    limit = limits.get(namespace) if limits is not None else None
    if limit is Visibility.NONE:
        return frozenset()
    if limit is Visibility.NAMESPACE:
        seen = "*" in export_to or namespace in export_to
        return frozenset({namespace}) if seen else frozenset()
    return export_to


def _chosen(labels: Mapping[str, str], mesh: MeshConfig) -> bool:
    return any(fits(selector, labels) for selector in mesh.discovery_selectors)


def _labels(objects: Objects) -> dict[str, Mapping[str, str]]:
    """Return the labels of every namespace that there is an object for."""
    return {n.metadata.name: n.metadata.labels for n in objects_of(Namespace, objects)}


def _unlabelled(objects: Objects) -> dict[str, Mapping[str, str]]:
    """Return the namespaces that only hold objects."""
    known = _labels(objects)
    return {
        namespace: {}
        for spaces in objects.values()
        for namespace in spaces
        if namespace not in known
    }
