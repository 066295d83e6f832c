"""Requests of the mesh as they happen, for whoever watches: told by proxies, and only meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from google.protobuf.message import DecodeError

from clew._pb.envoy.service.accesslog.v3.als_pb2 import (
    StreamAccessLogsMessage,
    StreamAccessLogsResponse,
)
from clew.api.explanations import Explanation
from clew.api.tap import TapEvent
from clew.model.proxy import Proxy
from clew.model.tap import INBOUND, OUTBOUND
from clew.server.blame import Request
from clew.server.directory import Directory
from clew.server.explanations_api import ExplanationsApi
from clew.server.http2.call import (
    INVALID_ARGUMENT,
    UNAUTHENTICATED,
    Call,
    Method,
)
from clew.server.mtls import peer_name, peer_of
from clew.server.runtime_settings import RuntimeSettings
from clew.server.tap_entries import read_entry

log = logging.getLogger("clew.tap")

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
_LONGEST_MESSAGE = 4 * 1024 * 1024
# For one that watches; the oldest are missed by whoever is too slow.
_MOST_WAITING = 1_000
# Who has which address, and who is to blame, is looked up again after so long.
_KNOWN_SECONDS = 1.0
_MOST_EXPLAINED = 1_000
# What is looked at in that time; the rest is missed, as the control plane has other work.
MOST_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TapFilter:
    """What somebody wants to see: all that is set must be so.

    ``caller``, ``called``: a workload, with or without its namespace, or its label app; of those
    who are called also a host. ``path``: how it begins. ``status``: ``503`` or ``5xx``; ``error``:
    5xx or no response at all. ``min_duration``: milliseconds.
    """

    caller: str = ""
    called: str = ""
    path: str = ""
    status: str = ""
    min_duration: float = 0.0

    def shows(self, event: TapEvent, apps: Mapping[str, str]) -> bool:
        """``apps``: the label app by workload."""
        return (
            _is_it(self.caller, event.source, apps)
            and _is_called(self.called, event, apps)
            and event.path.startswith(self.path)
            and _has_status(self.status, event.status)
            and event.duration >= self.min_duration
        )

    def concerns(self, proxy: Proxy) -> bool:
        """Whether the proxy may have something to tell. Of calls, callers know most."""
        if not self.caller:
            return True
        workload, app = workload_of(proxy), dict(proxy.labels).get("app", "")
        return any(
            _is_it(wanted, workload, {workload: app})
            for wanted in (self.caller, self.called)
            if wanted
        )


def workload_of(proxy: Proxy) -> str:
    """``default/reviews-v1``"""
    return f"{proxy.namespace}/{proxy.workload}"


def names_of(workload: str, app: str) -> tuple[str, ...]:
    """What a workload is called: ``default/reviews-v1``, ``reviews-v1``, ``reviews-v1.default``,
    and its label app.
    """
    namespace, _, name = workload.partition("/")
    return (workload, name, f"{name}.{namespace}", *([app] if app else []))


def _is_it(wanted: str, workload: str, apps: Mapping[str, str]) -> bool:
    return not wanted or (bool(workload) and wanted in names_of(workload, apps.get(workload, "")))


def _is_called(wanted: str, event: TapEvent, apps: Mapping[str, str]) -> bool:
    """By the workload, or the host: the one that was asked for, or that of the service."""
    if _is_it(wanted, event.destination, apps):
        return True
    namespace, _, name = wanted.rpartition("/")
    if event.destination and namespace:
        return False
    host = event.authority.partition(":")[0]
    hosts = (host, event.cluster.rpartition("|")[2])
    if any(f"{each}.".startswith(f"{name}.") for each in hosts):
        return True
    # A short name is of the namespace of whoever took the call.
    whole = f"{host}.{event.destination.partition('/')[0]}." if event.destination else ""
    return "." not in host and bool(whole) and f"{name}.".startswith(whole)


def _has_status(wanted: str, status: int) -> bool:
    if wanted == "error":
        return status >= 500 or status == 0
    if wanted.endswith("xx"):
        return status // 100 == int(wanted[0])
    return not wanted or status == int(wanted)


@dataclass(slots=True, eq=False)
class _Watcher:
    filter: TapFilter
    events: deque[TapEvent] = field(default_factory=deque)
    missed: int = 0
    something: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, event: TapEvent) -> None:
        if len(self.events) >= _MOST_WAITING:
            self.events.popleft()
            self.missed += 1
        self.events.append(event)
        self.something.set()

    def next(self) -> TapEvent:
        event, missed = self.events.popleft(), self.missed
        self.missed = 0
        return msgspec.structs.replace(event, missed=missed) if missed else event


@dataclass(slots=True, eq=False)
class Tap:
    """``now``: seconds of a clock that nobody sets."""

    settings: RuntimeSettings
    directory: Directory
    explain: ExplanationsApi
    now: Callable[[], float]
    _watchers: set[_Watcher] = field(default_factory=set)
    _taken: int = 0
    _looked: float = float("-inf")
    _workloads: dict[str, str] = field(default_factory=dict)
    _by_name: dict[str, Proxy] = field(default_factory=dict)
    _apps: dict[str, str] = field(default_factory=dict)
    _explained: dict[tuple[str, Request], tuple[Explanation, ...]] = field(default_factory=dict)

    def methods(self) -> Mapping[str, Method]:
        entries = Method(lambda call: _Entries(call, self), _LONGEST_MESSAGE)
        return {METHOD: entries, **self.settings.methods()}

    @property
    def watched(self) -> bool:
        return bool(self._watchers)

    async def watch(self, wanted: TapFilter, seconds: float) -> AsyncGenerator[TapEvent, None]:
        """Yield requests as they happen, for so long."""
        watcher = _Watcher(wanted)
        self._watchers.add(watcher)
        end = self.now() + seconds
        try:
            with self.settings.tapping(wanted.concerns, seconds):
                while (left := end - self.now()) > 0:
                    try:
                        async with asyncio.timeout(left):
                            await watcher.something.wait()
                    except TimeoutError:
                        return
                    watcher.something.clear()
                    while watcher.events:
                        yield watcher.next()
        finally:
            self._watchers.discard(watcher)

    def take(self, name: str, message: StreamAccessLogsMessage, *, inbound: bool) -> None:
        """Show what a proxy tells to those who want to see it."""
        self._look()
        proxy = self._by_name.get(name)
        if proxy is None:
            return
        entries = message.http_logs.log_entry
        room = max(0, MOST_AT_ONCE - self._taken)
        self._taken += len(entries)
        for watcher in self._watchers:
            watcher.missed += max(0, len(entries) - room)
        for entry in entries[:room]:
            event = read_entry(
                entry, workload_of(proxy), lambda who: self._workloads.get(who, ""), inbound=inbound
            )
            wanting = [w for w in self._watchers if event and w.filter.shows(event, self._apps)]
            if event is not None and wanting:
                explained = self._with_explanations(proxy, event)
                for watcher in wanting:
                    watcher.show(explained)

    def _look(self) -> None:
        """Learn who is there, now and then."""
        if self.now() - self._looked < _KNOWN_SECONDS:
            return
        self._looked = self.now()
        self._explained.clear()
        self._taken = 0
        proxies = list(self.directory.proxies())
        self._by_name = {peer_name(each): each for each in proxies}
        self._workloads = {
            who: workload_of(each)
            for name, each in self._by_name.items()
            for who in (name, each.ip, *each.extra_ips)
        }
        self._apps = {workload_of(each): dict(each.labels).get("app", "") for each in proxies}

    def _with_explanations(self, proxy: Proxy, event: TapEvent) -> TapEvent:
        asked = Request(
            flags=event.flags,
            details=event.details,
            route=event.route,
            cluster=event.cluster,
            authority=event.authority,
        )
        known = self._explained.get((proxy.node_id, asked))
        if known is None:
            connection = self.directory.proxy(proxy.node_id)
            known = self.explain.of(connection, asked) if connection is not None else ()
            if len(self._explained) < _MOST_EXPLAINED:
                self._explained[proxy.node_id, asked] = known
        return msgspec.structs.replace(event, explanations=known) if known else event


class _Entries:
    """One stream of one proxy, which its certificate names. The log's name comes at first."""

    def __init__(self, call: Call, tap: Tap) -> None:
        peer = peer_of(call.caller)
        self._proxy = peer.proxy if peer is not None else ""
        self._call = call
        self._tap = tap
        self._inbound: bool | None = None

    def message(self, body: bytes) -> None:
        if not self._proxy:
            self._call.finish(UNAUTHENTICATED, "log with the certificate of a proxy")
            return
        if self._inbound is not None and not self._tap.watched:
            return
        try:
            message = StreamAccessLogsMessage.FromString(body)
        except DecodeError:
            self._call.finish(INVALID_ARGUMENT, "this is no message of an access log")
            return
        if self._inbound is None:
            name = message.identifier.log_name
            if name not in (INBOUND, OUTBOUND):
                self._call.finish(INVALID_ARGUMENT, f"no log has the name {name[:80]!r} here")
                return
            self._inbound = name == INBOUND
        if self._tap.watched:
            self._tap.take(self._proxy, message, inbound=self._inbound)

    def ended(self) -> None:
        self._call.send(StreamAccessLogsResponse().SerializeToString())
        self._call.finish()

    def drained(self) -> None: ...

    def closed(self) -> None: ...
