"""The proxies that are connected, what they acknowledged, and what they made of each object."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from clew.api.messages import ObjectStatus, ProxyStatus, Refusal
from clew.api.traffic_report import ProxyFacts
from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.model.proxy import Proxy
from clew.model.xds import CLUSTER, LISTENER, Published, TypeUrl
from clew.server.acknowledgements import Answer, answer, is_refused
from clew.server.findings import Findings
from clew.server.holds import Hold, Holds
from clew.server.metrics import Meters
from clew.server.proxies import ConnectedProxy
from clew.server.publisher import Changed, Publisher
from clew.server.standing import standing
from clew.server.suspects import Suspects, suspects
from clew.server.trial import Step, Trial
from clew.server.trust import OnPublish
from clew.snapshot.findings import mesh_findings
from clew.snapshot.snapshot import update_snapshot
from clew.snapshot.views import Views
from clew.stores.store import Change, Stored
from clew.xds.answers import Acked, Conversation, Nacked, named_as_guilty

log = logging.getLogger("clew.directory")

# How many refusals are remembered.
_REMEMBERED = 100


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
        self._waiting: set[asyncio.Future[None]] = set()
        self._began = self.meters.now()
        self._findings = Findings()
        self._refusals: list[tuple[ConnectedProxy, TypeUrl, str]] = []
        self._trial: tuple[ConnectedProxy, Trial, Iterator[Suspects]] | None = None
        self._unexplained: set[str] = set()
        self._settling: set[ResourceKey] = set()
        self._refused: deque[Refusal] = deque(maxlen=_REMEMBERED)

    def connect(
        self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation
    ) -> ConnectedProxy:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        connection: ConnectedProxy | None = None

        def told(published: Published, changed: Changed | None) -> None:
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
        if isinstance(verdict, Nacked) and _is_certain(verdict):
            self._refusals += [(connection, verdict.type_url, name) for name in verdict.versions]
        if self._refusals or self._trial is not None:
            self._search()
        self._pulse()

    def _note_if_synced(self, connection: ConnectedProxy) -> None:
        published = self.publisher.published_to(connection.subscriber)
        if answer(connection, None, published) is Answer.ACKNOWLEDGED:
            connection.synced = connection.subscriber.since

    def disconnect(self, connection: ConnectedProxy) -> None:
        self._connected.discard(connection)
        self._on_gone(connection.proxy)
        self.publisher.disconnect(connection.subscriber)
        if self._trial is not None and self._trial[0] is connection:
            self._publish(self._trial[1].abandon())
            self._finish(self._trial[1])
        self._refusals = [each for each in self._refusals if each[0] is not connection]
        self._search()
        self._pulse()

    def take(self, changes: Sequence[Change]) -> None:
        """Publish a batch of the store's changes; what is held stays as it is."""
        self._began = self.meters.now()
        batch = []
        for change in changes:
            new = change.stored.resource if change.stored is not None else None
            batch.append((change.key, self._in_force(change.key, new)))
        self.revision = changes[-1].revision
        self.publisher.change(batch, self.revision)
        self.meters.published(changes, self._began)
        self._search()
        self._pulse()

    def status(self) -> Sequence[ProxyStatus]:
        """One entry per Envoy; the agent's stream for names has no clusters and is left out."""
        envoys = [c for c in self._connected if CLUSTER in c.acked]
        found = [
            c.status(self.publisher.published_to(c.subscriber), self._facts(c.proxy))
            for c in envoys
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
        held = {str(key): hold.refused.metadata.generation for key, hold in self.holds.all()}
        return tuple(
            msgspec.structs.replace(each, held=held.get(each.object) == each.generation)
            for each in reversed(self._refused)
        )

    def _remember(
        self,
        connection: ConnectedProxy,
        resource: str,
        reason: str,
        key: ResourceKey | None = None,
        hold: Hold | None = None,
    ) -> None:
        refusal = Refusal(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            proxy=connection.proxy.node_id,
            resource=resource,
            reason=reason,
            object=str(key) if key is not None else "",
            generation=hold.refused.metadata.generation if hold is not None else 0,
            held_at=hold.good_generation if hold is not None else 0,
        )
        self._refused.append(refusal)

    def standing(self, stored: Stored) -> ObjectStatus:
        """Whether an object is in force now."""
        self._findings.look(self.publisher.snapshot, self.publisher.scopes())
        return standing(
            stored,
            self.publisher,
            [c for c in self._connected if _is_envoy(c)],
            self.holds.of(stored.resource),
            self._findings.of(stored.key),
            searching=self._trial is not None,
            suspected=stored.key in self._settling
            or (self._trial is not None and self._trial[1].suspects_still(stored.key)),
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
        envoys = (c for c in self._connected if CLUSTER in c.acked)
        return next((c for c in envoys if c.proxy.node_id == node), None)

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
            self._pulse()

    async def changed(self) -> None:
        """Wait until something happens that may change an object's standing."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _pulse(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def _in_force(self, key: ResourceKey, new: Resource | None) -> Resource | None:
        """What is published of an object's newest version."""
        if self._trial is not None and key in self._trial[1].good:
            self._trial[1].drop(key)
        return self.holds.in_force(key, new)

    def _publish(self, step: Step) -> None:
        if step:
            self.publisher.change(step.items(), self.publisher.revision)

    def _search(self) -> None:
        """Go on with the search for what was refused, as far as proxies have answered."""
        while True:
            if self._trial is None and not self._start():
                return
            assert self._trial is not None
            connection, trial, _ = self._trial
            taken = self._verdict(connection, trial)
            if taken is None:
                return
            refused = connection.refused.get(trial.type_url, {}).get(trial.name, ("", ""))
            self._publish(trial.accepted() if taken else trial.refused(refused[1]))
            if trial.done:
                self._finish(trial)

    def _start(self) -> bool:
        """Begin with the next refusal that still stands; False if there is none."""
        while self._refusals:
            connection, type_url, name = self._refusals.pop(0)
            published = self.publisher.published_to(connection.subscriber)
            if not is_refused(connection, type_url, name, published):
                continue
            version, reason = connection.refused[type_url][name]
            if version in self._unexplained:
                continue
            if _is_of_the_host(name, reason):
                self._leave(connection, type_url, name)
                continue
            accepted = connection.acked.get(type_url, {}).get(name)
            groups = suspects(
                *(self.publisher, connection.subscriber, type_url, name, accepted),
                innocent=partial(self._is_innocent, connection),
            )
            if self._try(connection, type_url, name, groups):
                return True
        return False

    def _try(
        self, connection: ConnectedProxy, type_url: TypeUrl, name: str, groups: Iterator[Suspects]
    ) -> bool:
        """Begin with the next group of suspects; False if there is none left."""
        group = next(groups, None)
        if group is None:
            self._leave(connection, type_url, name)
            return False
        _, reason = connection.refused[type_url][name]
        newest = {key: self.publisher.in_force(key) for key in group}
        trial = Trial(type_url, name, reason, group, newest)
        self._trial = (connection, trial, groups)
        self._publish(trial.begin())
        return True

    def _leave(self, connection: ConnectedProxy, type_url: TypeUrl, name: str) -> None:
        """Remember a refusal that no object is to blame for."""
        version, reason = connection.refused[type_url][name]
        self._unexplained.add(version)
        self._remember(connection, name, reason)
        log.warning("refused, and no object explains it type=%s name=%s", type_url, name)

    def _finish(self, trial: Trial) -> None:
        assert self._trial is not None
        connection, _, groups = self._trial
        self._trial = None
        for key in trial.guilty:
            refused = trial.newest[key]
            if refused is not None:
                hold = Hold(refused=refused, good=trial.good[key], reason=trial.reason)
                self.holds.put(key, hold)
                self._remember(connection, trial.name, trial.reason, key, hold)
                log.warning("held object=%s generation=%d", key, hold.good_generation)
        if not trial.explained and connection in self._connected:
            self._try(connection, trial.type_url, trial.name, groups)

    def _verdict(self, connection: ConnectedProxy, trial: Trial) -> bool | None:
        """Whether the proxy takes what is published now; None: it has not answered yet."""
        type_url, name = trial.type_url, trial.name
        published = self.publisher.published_to(connection.subscriber)
        if name not in published.get(type_url, {}):
            return True
        if is_refused(connection, type_url, name, published):
            return False
        lagging = connection.conversation.lagging().get(type_url, frozenset())
        return True if name not in lagging else None

    def _is_innocent(self, judge: ConnectedProxy, key: ResourceKey) -> bool:
        """Whether another proxy, which refused nothing, has accepted all that it is told."""
        return any(
            key in self.publisher.concerns(other.subscriber)
            and answer(other, None, self.publisher.published_to(other.subscriber))
            is Answer.ACKNOWLEDGED
            for other in self._connected
            if other is not judge and _is_envoy(other) and not any(other.refused.values())
        )


def _is_envoy(connection: ConnectedProxy) -> bool:
    """Agents listen too, for names."""
    asked = connection.conversation.asked
    return asked(LISTENER) if connection.proxy.grpc else asked(CLUSTER)


def _is_of_the_host(name: str, reason: str) -> bool:
    """Whether a listener was refused for its host's sake: its port is another program's there."""
    return f"{name}: cannot bind" in reason


def _is_certain(verdict: Nacked) -> bool:
    """Whether the proxy says which resource it refused. Else they are tried one by one."""
    return len(verdict.versions) == 1 or bool(named_as_guilty(verdict.detail, verdict.versions))
