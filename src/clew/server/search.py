"""The search for the objects to blame for what proxies refuse, one refusal after another."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from clew.api.messages import Refusal
from clew.model.base import Resource, ResourceKey
from clew.model.xds import TypeUrl
from clew.server.acknowledgements import Answer, answer, is_refused
from clew.server.holds import Hold, Holds
from clew.server.proxies import ConnectedProxy
from clew.server.publisher import Publisher
from clew.server.suspects import Suspects, suspects
from clew.server.trial import Step, Trial
from clew.xds.answers import Acked, Nacked, named_as_guilty

log = logging.getLogger("clew.search")

# How many refusals are remembered.
_REMEMBERED = 100


@dataclass(frozen=True, slots=True)
class _Running:
    """A trial, the proxy that judges it, and the groups of suspects that come after this one."""

    judge: ConnectedProxy
    trial: Trial
    groups: Iterator[Suspects]


class Search:
    """Finds out, refusal after refusal, which objects made a proxy refuse what it was told.

    It publishes some of the suspects at a time, and holds those that prove guilty. ``connected``:
    the proxies that are, as they come and go.
    """

    def __init__(self, publisher: Publisher, holds: Holds, connected: Set[ConnectedProxy]) -> None:
        self._publisher = publisher
        self._holds = holds
        self._connected = connected
        # What was refused and is yet to be looked into: by whom, and the resource.
        self._waiting: list[tuple[ConnectedProxy, TypeUrl, str]] = []
        self._running: _Running | None = None
        # The versions of resources that no object explains.
        self._unexplained: set[str] = set()
        self._remembered: deque[Refusal] = deque(maxlen=_REMEMBERED)

    @property
    def running(self) -> bool:
        return self._running is not None

    def suspects(self, key: ResourceKey) -> bool:
        """Whether an object is on trial, and not known to be innocent."""
        return self._running is not None and self._running.trial.suspects_still(key)

    def answered(self, connection: ConnectedProxy, verdict: Acked | Nacked) -> None:
        """A proxy has taken or refused something."""
        if isinstance(verdict, Nacked) and _is_certain(verdict):
            self._waiting += [(connection, verdict.type_url, name) for name in verdict.versions]
        if self._waiting or self._running is not None:
            self.go_on()

    def gone(self, connection: ConnectedProxy) -> None:
        """A proxy's stream has ended: nothing can be tried on it any more."""
        if self._running is not None and self._running.judge is connection:
            self._publish(self._running.trial.abandon())
            self._finish(self._running)
        self._waiting = [each for each in self._waiting if each[0] is not connection]
        self.go_on()

    def in_force(self, key: ResourceKey, new: Resource | None) -> Resource | None:
        """What is published of an object's newest version."""
        if self._running is not None and key in self._running.trial.good:
            self._running.trial.drop(key)
        return self._holds.in_force(key, new)

    def refusals(self) -> tuple[Refusal, ...]:
        """The latest refusals, newest first, and whether they still matter."""
        held = {str(key): hold.refused.metadata.generation for key, hold in self._holds.all()}
        return tuple(
            msgspec.structs.replace(each, held=held.get(each.object) == each.generation)
            for each in reversed(self._remembered)
        )

    def go_on(self) -> None:
        """Go on with the search for what was refused, as far as proxies have answered."""
        while True:
            running = self._running or self._start()
            if running is None:
                return
            judge, trial = running.judge, running.trial
            taken = self._verdict(judge, trial)
            if taken is None:
                return
            _, reason = judge.refused.get(trial.type_url, {}).get(trial.name, ("", ""))
            self._publish(trial.accepted() if taken else trial.refused(reason))
            if trial.done:
                self._finish(running)

    def _start(self) -> _Running | None:
        """Begin with the next refusal that still stands; None if there is none."""
        while self._waiting:
            connection, type_url, name = self._waiting.pop(0)
            published = self._publisher.published_to(connection.subscriber)
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
                *(self._publisher, connection.subscriber, type_url, name, accepted),
                innocent=partial(self._is_innocent, connection),
            )
            if (running := self._try(connection, type_url, name, groups)) is not None:
                return running
        return None

    def _try(
        self, connection: ConnectedProxy, type_url: TypeUrl, name: str, groups: Iterator[Suspects]
    ) -> _Running | None:
        """Begin with the next group of suspects; None if there is none left."""
        group = next(groups, None)
        if group is None:
            self._leave(connection, type_url, name)
            return None
        _, reason = connection.refused[type_url][name]
        newest = {key: self._publisher.in_force(key) for key in group}
        trial = Trial(type_url, name, reason, group, newest)
        self._running = running = _Running(connection, trial, groups)
        self._publish(trial.begin())
        return running

    def _finish(self, running: _Running) -> None:
        judge, trial = running.judge, running.trial
        self._running = None
        for key in trial.guilty:
            refused = trial.newest[key]
            if refused is not None:
                hold = Hold(refused=refused, good=trial.good[key], reason=trial.reason)
                self._holds.put(key, hold)
                self._remember(judge, trial.name, trial.reason, key, hold)
                log.warning("held object=%s generation=%d", key, hold.good_generation)
        if not trial.explained and judge in self._connected:
            self._try(judge, trial.type_url, trial.name, running.groups)

    def _leave(self, connection: ConnectedProxy, type_url: TypeUrl, name: str) -> None:
        """Remember a refusal that no object is to blame for."""
        version, reason = connection.refused[type_url][name]
        self._unexplained.add(version)
        self._remember(connection, name, reason)
        log.warning("refused, and no object explains it type=%s name=%s", type_url, name)

    def _verdict(self, connection: ConnectedProxy, trial: Trial) -> bool | None:
        """Whether the proxy takes what is published now; None: it has not answered yet."""
        type_url, name = trial.type_url, trial.name
        published = self._publisher.published_to(connection.subscriber)
        if name not in published.get(type_url, {}):
            return True
        if is_refused(connection, type_url, name, published):
            return False
        lagging = connection.conversation.lagging().get(type_url, frozenset())
        return True if name not in lagging else None

    def _is_innocent(self, judge: ConnectedProxy, key: ResourceKey) -> bool:
        """Whether another proxy, which refused nothing, has accepted all that it is told."""
        return any(
            key in self._publisher.concerns(other.subscriber)
            and answer(other, None, self._publisher.published_to(other.subscriber))
            is Answer.ACKNOWLEDGED
            for other in self._connected
            if other is not judge and other.is_envoy and not any(other.refused.values())
        )

    def _publish(self, step: Step) -> None:
        if step:
            self._publisher.change(step.items(), self._publisher.revision)

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
        self._remembered.append(refusal)


def _is_of_the_host(name: str, reason: str) -> bool:
    """Whether a listener was refused for its host's sake: its port is another program's there."""
    return f"{name}: cannot bind" in reason


def _is_certain(verdict: Nacked) -> bool:
    """Whether the proxy says which resource it refused. Else they are tried one by one."""
    return len(verdict.versions) == 1 or bool(named_as_guilty(verdict.detail, verdict.versions))
