"""The proxies that are connected, what they acknowledged, and what they made of each object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from clew.api.messages import ObjectStatus, ProxyStatus, Refusal
from clew.api.traffic_report import ProxyFacts
from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.model.proxy import Proxy
from clew.model.xds import CLUSTER, Published, TypeUrl
from clew.server.acknowledgements import Answer, answer
from clew.server.findings import Findings
from clew.server.holds import Holds
from clew.server.metrics import Meters
from clew.server.proxies import ConnectedProxy
from clew.server.publications import Changed, OnPublish
from clew.server.publisher import Publisher
from clew.server.pulse import Pulse
from clew.server.search import Search
from clew.server.standing import standing
from clew.snapshot.findings import mesh_findings
from clew.snapshot.snapshot import update_snapshot
from clew.snapshot.views import Views
from clew.stores.store import Change, Stored
from clew.xds.answers import Acked, Conversation, Nacked


class Directory:
    """Answers the ADS service, and remembers who acknowledged what.

    ``revision``: the store's, up to which changes have been published.
    """

    def __init__(
        self,
        publisher: Publisher,
        revision: int,
        holds: Holds | None = None,
        meters: Meters | None = None,
    ) -> None:
        self.publisher = publisher
        self.meters = meters or Meters()
        self.revision = revision
        self.holds = holds or Holds()
        self._connected: set[ConnectedProxy] = set()
        self._on_come: Callable[[Proxy], object] = lambda proxy: None
        self._on_gone: Callable[[Proxy], object] = lambda proxy: None
        self._facts: Callable[[Proxy], ProxyFacts] = lambda proxy: ProxyFacts()
        self._pulse = Pulse()
        # When the batch of changes came that is published now.
        self._began = self.meters.now()
        self._findings = Findings()
        self._search = Search(publisher, self.holds, self._connected)
        self._settling: set[ResourceKey] = set()

    def connect(
        self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation
    ) -> ConnectedProxy:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        connection: ConnectedProxy | None = None

        def told(published: Published, changed: Changed | None) -> None:
            # What it is told as it comes, before there is a connection, is no change.
            if connection is not None and connection.behind_since is None:
                connection.behind_since = self._began
            on_publish(published, changed)

        subscriber = self.publisher.connect(proxy, told)
        connection = ConnectedProxy(subscriber, conversation, since)
        self._connected.add(connection)
        self._on_come(proxy)
        return connection

    def report(self, connection: ConnectedProxy, verdict: Acked | Nacked) -> None:
        connection.report(verdict)
        self.meters.answered(verdict)
        if connection.behind_since is not None and not connection.conversation.lagging():
            self.meters.converged(connection.behind_since)
            connection.behind_since = None
        if connection.synced != connection.subscriber.since:
            self._note_if_synced(connection)
        self._search.answered(connection, verdict)
        self._pulse.beat()

    def _note_if_synced(self, connection: ConnectedProxy) -> None:
        published = self.publisher.published_to(connection.subscriber)
        if answer(connection, None, published) is Answer.ACKNOWLEDGED:
            connection.synced = connection.subscriber.since

    def disconnect(self, connection: ConnectedProxy) -> None:
        self._connected.discard(connection)
        self._on_gone(connection.proxy)
        self.publisher.disconnect(connection.subscriber)
        self._search.gone(connection)
        self._pulse.beat()

    def take(self, changes: Sequence[Change]) -> None:
        """Publish a batch of the store's changes; what is held stays as it is."""
        self._began = self.meters.now()
        batch = []
        for change in changes:
            new = change.stored.resource if change.stored is not None else None
            batch.append((change.key, self._search.in_force(change.key, new)))
        self.revision = changes[-1].revision
        self.publisher.change(batch, self.revision)
        self.meters.published(changes, self._began)
        self._search.go_on()
        self._pulse.beat()

    def status(self) -> Sequence[ProxyStatus]:
        """One entry per Envoy."""
        found = [
            c.status(self.publisher.published_to(c.subscriber), self._facts(c.proxy))
            for c in self._with_clusters()
        ]
        return sorted(found, key=lambda s: (s.namespace, s.name))

    def proxies(self) -> Iterator[Proxy]:
        """What those that are connected say of themselves; one twice that has two streams."""
        return (connection.proxy for connection in self._connected)

    def tell(
        self,
        come: Callable[[Proxy], object],
        gone: Callable[[Proxy], object],
        facts: Callable[[Proxy], ProxyFacts],
    ) -> None:
        """Call these as proxies come and go; a proxy and its agent have a stream each.

        ``facts``: what else is known of one.
        """
        self._on_come, self._on_gone, self._facts = come, gone, facts

    def refused_now(self) -> Iterator[TypeUrl]:
        """The type of each resource that a proxy refuses."""
        for connection in self._connected:
            for type_url, names in connection.refused.items():
                yield from (type_url for _ in names)

    def refusals(self) -> tuple[Refusal, ...]:
        """The latest refusals, newest first, and whether they still matter."""
        return self._search.refusals()

    def standing(self, stored: Stored) -> ObjectStatus:
        """Whether an object is in force now."""
        self._findings.look(self.publisher.snapshot, self.publisher.scopes())
        return standing(
            stored,
            self.publisher,
            [c for c in self._connected if c.is_envoy],
            self.holds.of(stored.resource),
            self._findings.of(stored.key),
            searching=self._search.running,
            suspected=stored.key in self._settling or self._search.suspects(stored.key),
        )

    def noteworthy(self) -> frozenset[ResourceKey]:
        """The objects that are held, or of which there is something else to say."""
        self._findings.look(self.publisher.snapshot, self.publisher.scopes())
        return self._findings.keys() | {key for key, _ in self.holds.all()}

    def findings_after(
        self, changes: Iterable[tuple[ResourceKey, Resource | None]]
    ) -> Mapping[ResourceKey, Sequence[Diagnostic]]:
        """What there would be to say of objects after these changes, which are not made."""
        other = replace(self.publisher.snapshot, views=Views())
        return mesh_findings(update_snapshot(other, changes)[0])

    def proxy(self, node: str) -> ConnectedProxy | None:
        """The Envoy with this node id."""
        return next((c for c in self._with_clusters() if c.proxy.node_id == node), None)

    def _with_clusters(self) -> Iterator[ConnectedProxy]:
        """Those that have taken clusters: an agent has a stream too, for names alone."""
        return (connection for connection in self._connected if CLUSTER in connection.acked)

    def own_status(self, key: ResourceKey) -> Mapping[str, Any]:
        """The status that the object's kind defines, which may be empty."""
        return self._findings.own_status(key)

    def is_awaited(self) -> bool:
        """Whether a proxy has yet to acknowledge something that is published."""
        return any(connection.conversation.lagging() for connection in self._connected)

    @contextmanager
    def settling(self, keys: Collection[ResourceKey]) -> Iterator[None]:
        """Meanwhile these objects are not in force, whatever proxies have acknowledged."""
        self._settling |= set(keys)
        try:
            yield
        finally:
            self._settling -= set(keys)
            self._pulse.beat()

    async def changed(self) -> None:
        """Wait until something happens that may change an object's standing."""
        await self._pulse.next()
