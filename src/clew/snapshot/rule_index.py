"""VirtualServices by gateway and by who may see them, kept up to date change by change."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from clew.model.base import ResourceKey, age_order
from clew.model.mesh_config import MeshConfig
from clew.model.virtual_service import VirtualService
from clew.snapshot.export import PUBLIC, exported_to
from clew.snapshot.objects import Change
from clew.snapshot.virtual_services import MESH, full_names, with_delegates

# Whose rules come first: own private ones, those exported by name, everyone's.
_PRIVATE, _EXPORTED, _PUBLIC, _PUBLIC_OF = range(4)

_Place = tuple[str, int, str]  # gateway, one of the above, namespace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VirtualServices:
    """``resolved`` have full names; ``merged`` are the roots with their delegates' routes."""

    resolved: Mapping[ResourceKey, VirtualService] = field(default_factory=dict)
    delegates: Mapping[tuple[str, str], VirtualService] = field(default_factory=dict)
    merged: Mapping[ResourceKey, VirtualService] = field(default_factory=dict)
    listed: Mapping[_Place, tuple[VirtualService, ...]] = field(default_factory=dict)

    def seen_by(self, namespace: str, gateway: str = MESH) -> tuple[VirtualService, ...]:
        """Return what a proxy of ``namespace`` sees at a gateway, in Istio's lookup order: its
        own namespace's private ones, those exported to it by name, then the public ones.

        Source: istio ``initVirtualServices``.
        """
        return (*self._by_name(namespace, gateway), *self._listed(gateway, _PUBLIC, ""))

    def in_mesh(self) -> Iterator[tuple[VirtualService, ...]]:
        """Yield, for each group of proxies outside gateways, rules of equal rank in their order."""
        for (gateway, rank, _), rules in self.listed.items():
            if gateway == MESH and rank != _PUBLIC_OF:
                yield rules

    def seen_among(self, namespace: str, owners: Iterable[str]) -> tuple[VirtualService, ...]:
        """Return of what a namespace sees in the mesh all that the namespaces ``owners`` have.

        It may be more than that, never less.
        """
        public = (vs for owner in owners for vs in self._listed(MESH, _PUBLIC_OF, owner))
        return (*self._by_name(namespace, MESH), *sorted(public, key=age_order))

    def _by_name(self, namespace: str, gateway: str) -> Iterator[VirtualService]:
        yield from self._listed(gateway, _PRIVATE, namespace)
        yield from self._listed(gateway, _EXPORTED, namespace)

    def _listed(self, gateway: str, rank: int, namespace: str) -> tuple[VirtualService, ...]:
        return self.listed.get((gateway, rank, namespace), ())


def index_virtual_services(
    resources: Iterable[VirtualService], mesh: MeshConfig
) -> VirtualServices:
    resolved = {vs.key: full_names(vs) for vs in sorted(resources, key=age_order)}
    delegates = {(k.namespace, k.name): vs for k, vs in resolved.items() if not vs.spec.hosts}
    merged = {
        key: with_delegates(vs, delegates, mesh) for key, vs in resolved.items() if vs.spec.hosts
    }
    listed: dict[_Place, list[VirtualService]] = {}
    for vs in merged.values():
        for place in _places(vs, mesh):
            listed.setdefault(place, []).append(vs)
    return VirtualServices(
        resolved=resolved,
        delegates=delegates,
        merged=merged,
        listed={place: tuple(found) for place, found in listed.items()},
    )


def change_virtual_services(
    before: VirtualServices, changes: Sequence[Change], mesh: MeshConfig
) -> tuple[VirtualServices, tuple[VirtualService, ...]]:
    """Return the index after changes, and the rules that differ, as they were and as they are."""
    resolved, delegates = dict(before.resolved), dict(before.delegates)
    for change in changes:
        key = change.sides[0].key
        resolved.pop(key, None)
        delegates.pop((key.namespace, key.name), None)
        if isinstance(change.new, VirtualService):
            resolved[key] = full_names(change.new)
            if not change.new.spec.hosts:
                delegates[key.namespace, key.name] = resolved[key]
    merged, listed = dict(before.merged), dict(before.listed)
    differing: list[VirtualService] = []
    for key in _concerned(changes, resolved):
        old, root = merged.pop(key, None), resolved.get(key)
        new = with_delegates(root, delegates, mesh) if root and root.spec.hosts else None
        if new is not None:
            merged[key] = old if old is not None and old == new else new
        if old != new:
            _relist(listed, old, new, mesh)
            differing += [vs for vs in (old, new) if vs is not None]
    after = VirtualServices(resolved=resolved, delegates=delegates, merged=merged, listed=listed)
    return after, tuple(differing)


def _concerned(
    changes: Sequence[Change], resolved: Mapping[ResourceKey, VirtualService]
) -> dict[ResourceKey, None]:
    """Return the keys that changed; if a delegate did, also those of all roots with delegates."""
    changed = dict.fromkeys(change.sides[0].key for change in changes)
    sides = [side for c in changes for side in c.sides if isinstance(side, VirtualService)]
    if any(not side.spec.hosts for side in sides):
        changed |= {
            key: None
            for key, vs in resolved.items()
            if any(route.delegate for route in vs.spec.http)
        }
    return changed


def _relist(
    listed: dict[_Place, tuple[VirtualService, ...]],
    old: VirtualService | None,
    new: VirtualService | None,
    mesh: MeshConfig,
) -> None:
    """Take ``old`` out of its places and put ``new`` in, in order of age."""
    if old is not None:
        for place in _places(old, mesh):
            found = listed[place]
            at = bisect_left(found, age_order(old), key=age_order)
            while found[at] is not old:
                at += 1
            listed[place] = found[:at] + found[at + 1 :]
            if not listed[place]:
                del listed[place]
    if new is not None:
        for place in _places(new, mesh):
            found = listed.get(place, ())
            at = bisect_right(found, age_order(new), key=age_order)
            listed[place] = (*found[:at], new, *found[at:])


def export_of(vs: VirtualService, mesh: MeshConfig) -> frozenset[str]:
    default = mesh.default_virtual_service_export_to
    return exported_to(vs.spec.export_to, vs.metadata.namespace, default)


def _places(vs: VirtualService, mesh: MeshConfig) -> Iterator[_Place]:
    own, export_to = vs.metadata.namespace, export_of(vs, mesh)
    for gateway in dict.fromkeys(vs.spec.gateways or (MESH,)):
        if PUBLIC in export_to:
            yield gateway, _PUBLIC, ""
            yield gateway, _PUBLIC_OF, own
        elif export_to == {own}:
            yield gateway, _PRIVATE, own
        else:
            yield from ((gateway, _EXPORTED, namespace) for namespace in export_to)
