"""From a batch of changed objects to what each connected proxy is told: the live part of the core.

Proxies with equal scope keys form one group: they share a scope, its compilation and the
published resources. A change costs what its group's dirty part costs, however many proxies the
group has. A group that cannot be compiled keeps what it has and holds up no other.
Nothing here waits or does I/O; it runs in the control plane's event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from clew.compile.memo import Memo
from clew.compile.name_table import compile_name_table
from clew.compile.proxy import compile_endpoints, compile_published, endpoints_shape
from clew.compile.proxyless_grpc import compile_proxyless_grpc
from clew.model.base import Resource, ResourceKey
from clew.model.kinds import kind_of
from clew.model.proxy import Proxy
from clew.model.xds import CLUSTER, ENDPOINTS, NAME_TABLE, Published, ResourcesByName, TypeUrl
from clew.server.publications import (
    Batch,
    Effect,
    OnPublish,
    Publication,
    PublicationLog,
    difference,
    versions_of,
)
from clew.snapshot.concern import concerned
from clew.snapshot.peer_authentication import Authentication
from clew.snapshot.reach import affects, may_move
from clew.snapshot.scope import ProxyScope
from clew.snapshot.scope_builder import build_scope, scope_key
from clew.snapshot.snapshot import Dirty, build_snapshot, update_snapshot
from clew.snapshot.views import Views

log = logging.getLogger("clew.publisher")

# What runs is not configuration: no proxy refuses it.
_RUNNING = frozenset({"Pod", "Node", "Endpoints", "EndpointSlice", "Namespace", "ServiceAccount"})


@dataclass(slots=True, eq=False)
class Subscriber:
    """One connected proxy.

    ``since``: the revision at which it was told everything. ``past``: what it was told before it
    came to its group, of whose log it has seen what came ``after`` so many entries.
    """

    proxy: Proxy
    on_publish: OnPublish
    since: int = 0
    past: PublicationLog | None = None
    after: int = 0


@dataclass(slots=True, eq=False)
class _Group:
    """``scope`` is what was compiled last; ``behind``: a change since then could not be.

    ``concern``: the objects that have a say in it, and the scope of which that holds.
    """

    scope: ProxyScope
    published: Published
    behind: bool = False
    subscribers: set[Subscriber] = field(default_factory=set)
    log: PublicationLog = field(default_factory=PublicationLog)
    concern: tuple[ProxyScope | None, frozenset[ResourceKey]] = (None, frozenset())


class Publisher:
    """Owns the snapshot and the groups; everything else it holds is immutable."""

    def __init__(self, resources: Iterable[Resource] = (), revision: int = 0) -> None:
        self.revision = revision
        self._batch = Batch(since=revision, revision=revision)
        self._memo = Memo()
        self._groups: dict[Hashable, _Group] = {}
        self._group_of: dict[Subscriber, Hashable] = {}
        self.snapshot = build_snapshot(())
        self._load(list(resources))

    def connect(self, proxy: Proxy, on_publish: OnPublish) -> Subscriber:
        """Add a proxy and publish to it at once."""
        subscriber = Subscriber(proxy, on_publish)
        group = self._join(subscriber)
        subscriber.since = self.revision
        on_publish(group.published, None)
        return subscriber

    def disconnect(self, subscriber: Subscriber) -> None:
        key = self._group_of.pop(subscriber)
        group = self._groups[key]
        group.subscribers.discard(subscriber)
        if not group.subscribers:
            del self._groups[key]

    def published_to(self, subscriber: Subscriber) -> Published:
        return self._groups[self._group_of[subscriber]].published

    def effect(self, subscriber: Subscriber, revision: int) -> Effect | None:
        """What the change of ``revision`` made different for a proxy; None: it is not known,
        because the proxy came later or it is too long ago.
        """
        if revision <= subscriber.since:
            return None
        return self._history(subscriber).effect(revision)

    def _history(self, subscriber: Subscriber) -> PublicationLog:
        log = self._groups[self._group_of[subscriber]].log
        return log if subscriber.past is None else subscriber.past.continued(log, subscriber.after)

    def concerns(self, subscriber: Subscriber) -> frozenset[ResourceKey]:
        """The objects that have a say in what a proxy is told."""
        group = self._groups[self._group_of[subscriber]]
        if group.concern[0] is not group.scope:
            group.concern = (group.scope, concerned(self.snapshot, group.scope))
        return group.concern[1]

    def changed_since(
        self, subscriber: Subscriber, type_url: TypeUrl, name: str, version: str | None
    ) -> dict[ResourceKey, Resource | None]:
        """The objects that changed since a resource had this version, as they were then."""
        found: dict[ResourceKey, Resource | None] = {}
        for batch in self._history(subscriber).since_version(type_url, name, version):
            found |= batch.before
        return {key: old for key, old in found.items() if old is not self.in_force(key)}

    def would_publish(
        self, subscriber: Subscriber, changes: Iterable[tuple[ResourceKey, Resource | None]]
    ) -> Published:
        """What a proxy would be told after these changes, which are not made."""
        other = replace(self.snapshot, views=Views())
        return _compile(
            build_scope(update_snapshot(other, changes)[0], subscriber.proxy), self._memo
        )

    def scopes(self) -> tuple[ProxyScope, ...]:
        """One scope per class of proxies."""
        return tuple(group.scope for group in self._groups.values())

    def change(
        self,
        changes: Iterable[tuple[ResourceKey, Resource | None]],
        revision: int | None = None,
    ) -> None:
        """Take a batch of changes and publish what differs to those whom it concerns.

        ``revision``: the store's, after these changes; the same as before for what the store
        has no part in. A change that the snapshot cannot take is our mistake: it is logged and
        left out, and the others of its batch are taken.
        """
        batch = list(changes)
        since, self.revision = self.revision, self.revision + 1 if revision is None else revision
        before = {
            key: self.in_force(key)
            for key, _ in batch
            if since != self.revision and key.kind not in _RUNNING
        }
        self._batch = Batch(since=since, revision=self.revision, before=before)
        self._change(batch)

    def learn(self, issuers: Mapping[str, str]) -> None:
        """Take what issuers of tokens say of where their keys are."""
        if issuers == self.snapshot.issuers:
            return
        self.snapshot = replace(self.snapshot, issuers=issuers)
        self._bring_all_up_to_date()

    def accept_too(self, policies: tuple[Authentication, ...]) -> None:
        """Let servers take what these policies allow along with those in force."""
        self.snapshot = replace(self.snapshot, also_accepted=policies)
        self._bring_all_up_to_date()

    def _bring_all_up_to_date(self) -> None:
        self._batch = Batch(since=self.revision, revision=self.revision)
        for group in self._groups.values():
            self._bring_up_to_date(group, Dirty(everything=True))

    def in_force(self, key: ResourceKey) -> Resource | None:
        """The version of an object that the mesh is made from."""
        kind = kind_of(key.group, key.kind)
        spaces = self.snapshot.objects.get(kind.type, {}) if kind is not None else {}
        return spaces.get(key.namespace, {}).get(key.name)

    def _change(self, batch: list[tuple[ResourceKey, Resource | None]]) -> None:
        try:
            self.snapshot, dirty = update_snapshot(self.snapshot, batch)
        except Exception:
            self._take_one_by_one(batch)
            return
        self._regroup(dirty)
        for group in self._groups.values():
            if group.behind or affects(dirty, group.scope):
                self._bring_up_to_date(group, dirty)

    def _load(self, resources: list[Resource]) -> None:
        try:
            self.snapshot = build_snapshot(resources)
        except Exception:
            self._take_one_by_one([(resource.key, resource) for resource in resources])

    def _take_one_by_one(self, batch: list[tuple[ResourceKey, Resource | None]]) -> None:
        if len(batch) > 1:
            for change in batch:
                self._change([change])
            return
        for key, _ in batch:
            log.exception("left out, everything else is in force object=%s", key)

    def _join(self, subscriber: Subscriber) -> _Group:
        """Put it into its group, and out of the one that it was in. Unchanged if that fails."""
        key = scope_key(self.snapshot, subscriber.proxy)
        group = self._groups.get(key)
        if group is None:
            scope = build_scope(self.snapshot, subscriber.proxy)
            group = self._groups[key] = _Group(scope, _compile(scope, self._memo))
        if subscriber in self._group_of:
            self.disconnect(subscriber)
        group.subscribers.add(subscriber)
        subscriber.after = group.log.added
        self._group_of[subscriber] = key
        return group

    def _bring_up_to_date(self, group: _Group, dirty: Dirty) -> None:
        """The bulkhead: what cannot be compiled is our mistake, and not the neighbours'."""
        try:
            self._recompile(group, dirty)
            group.behind = False
        except Exception:
            group.behind = True
            log.exception("not compiled, keeps what it has proxy=%s", group.scope.proxy.node_id)

    def _regroup(self, dirty: Dirty) -> None:
        """Proxies may belong together in another way now. Those that moved get what is theirs."""
        moves = may_move(dirty)
        moved = [
            s
            for s, key in self._group_of.items()
            if moves(s.proxy) and scope_key(self.snapshot, s.proxy) != key
        ]
        for subscriber in moved:
            self._move(subscriber)

    def _move(self, subscriber: Subscriber) -> None:
        before, history = self.published_to(subscriber), self._history(subscriber)
        try:
            group = self._join(subscriber)
        except Exception:
            self._groups[self._group_of[subscriber]].behind = True
            log.exception("not compiled, keeps what it has proxy=%s", subscriber.proxy.node_id)
            return
        changed = difference(before, group.published)
        subscriber.past = history.continued(PublicationLog(), 0)
        subscriber.past.add(Publication(self._batch, versions_of(changed, group.published)))
        subscriber.on_publish(group.published, changed)

    def _recompile(self, group: _Group, dirty: Dirty) -> None:
        before = group.published
        proxy = next(iter(group.subscribers)).proxy
        scope = build_scope(self.snapshot, proxy, group.scope)
        if _same_parts(group.scope, scope):
            return
        group.published = self._compiled_after(group, scope, dirty)
        group.scope = scope
        if changed := difference(before, group.published):
            group.log.add(Publication(self._batch, versions_of(changed, group.published)))
            for subscriber in list(group.subscribers):
                subscriber.on_publish(group.published, changed)

    def _compiled_after(self, group: _Group, scope: ProxyScope, dirty: Dirty) -> Published:
        if group.behind or not self._only_endpoints(group.scope, scope, dirty):
            return _compile(scope, self._memo)
        endpoints = compile_endpoints(
            scope, dirty.endpoint_hosts, group.published[CLUSTER], self._memo
        )
        return {
            **group.published,
            ENDPOINTS: {**group.published[ENDPOINTS], **endpoints},
            NAME_TABLE: _name_table(scope, self._memo),
        }

    def _only_endpoints(self, before: ProxyScope, after: ProxyScope, dirty: Dirty) -> bool:
        """Whether load assignments are all that the change can have touched."""
        if not dirty.only_endpoints or after.proxy.grpc:
            return False
        if before.inbound is not after.inbound or before.gateway is not after.gateway:
            return False
        if before.patches is not after.patches or before.telemetry != after.telemetry:
            return False
        shapes = [endpoints_shape(s, dirty.endpoint_hosts, self._memo) for s in (before, after)]
        return shapes[0] == shapes[1]


def _same_parts(one: ProxyScope, other: ProxyScope) -> bool:
    return (
        one.outbound is other.outbound
        and one.inbound is other.inbound
        and one.gateway is other.gateway
        and one.patches is other.patches
        and one.telemetry == other.telemetry
    )


def _compile(scope: ProxyScope, memo: Memo) -> Published:
    if scope.proxy.grpc:
        return compile_proxyless_grpc(scope.outbound, memo)
    return {**compile_published(scope, memo), NAME_TABLE: _name_table(scope, memo)}


def _name_table(scope: ProxyScope, memo: Memo) -> ResourcesByName:
    table = compile_name_table(scope.outbound, memo)
    return {table.name: table}
