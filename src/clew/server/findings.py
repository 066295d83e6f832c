"""What the mesh and its proxies say of single objects, worked out when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clew.compile.findings import scope_findings, scope_findings_of_all
from clew.compile.memo import Memo
from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.snapshot.concern import concerned
from clew.snapshot.findings import mesh_findings, own_statuses
from clew.snapshot.scope import ProxyScope
from clew.snapshot.snapshot import MeshSnapshot

ByObject = dict[ResourceKey, tuple[Diagnostic, ...]]


class Findings:
    """Remembers what it found as long as the mesh and the scopes stay the same objects."""

    def __init__(self) -> None:
        self._snapshot: MeshSnapshot | None = None
        self._scopes: tuple[ProxyScope, ...] = ()
        self._found: ByObject = {}
        self._statuses: Mapping[ResourceKey, Mapping[str, Any]] = {}
        self._memo = Memo()

    def look(self, snapshot: MeshSnapshot, scopes: tuple[ProxyScope, ...]) -> None:
        """Bring everything up to date."""
        if snapshot is self._snapshot and _same(scopes, self._scopes):
            return
        self._snapshot, self._scopes = snapshot, scopes
        self._found = mesh_findings(snapshot)
        self._statuses = own_statuses(snapshot)
        for diagnostic in _of_scopes(snapshot, scopes, self._memo):
            if (key := diagnostic.place.resource) is not None:
                self._found[key] = (*self._found.get(key, ()), diagnostic)

    def of(self, key: ResourceKey) -> tuple[Diagnostic, ...]:
        return self._found.get(key, ())

    def keys(self) -> frozenset[ResourceKey]:
        """The objects of which there is something to say."""
        return frozenset(self._found)

    def own_status(self, key: ResourceKey) -> Mapping[str, Any]:
        """The status that the kind itself defines, which may be empty."""
        return self._statuses.get(key, {})


def _of_scopes(
    snapshot: MeshSnapshot, scopes: Sequence[ProxyScope], memo: Memo
) -> Iterable[Diagnostic]:
    found: dict[Diagnostic, None] = {}
    said: dict[Diagnostic, int] = {}
    concerns: dict[ResourceKey, int] = {}
    for scope in scopes:
        found |= dict.fromkeys(scope_findings(scope, memo))
        for diagnostic in dict.fromkeys(scope_findings_of_all(scope, memo)):
            said[diagnostic] = said.get(diagnostic, 0) + 1
    for scope in scopes if said else ():
        for concern in concerned(snapshot, scope):
            concerns[concern] = concerns.get(concern, 0) + 1
    for diagnostic, count in said.items():
        key = diagnostic.place.resource
        if key is not None and count >= concerns.get(key, 0):
            found[diagnostic] = None
    return found


def _same(one: tuple[ProxyScope, ...], other: tuple[ProxyScope, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
