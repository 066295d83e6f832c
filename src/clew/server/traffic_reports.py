"""Takes what proxies report of their traffic; each reports for itself alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from clew.api.traffic_report import (
    LONGEST_REPORT,
    METHOD,
    OLDEST_SECONDS,
    Counted,
    ProxyFacts,
    TrafficReport,
    bins_of,
)
from clew.model.metrics import CLUSTER, DESTINATION, Own, Peer
from clew.model.proxy import Proxy, ProxyType
from clew.server import mtls
from clew.server.http2.call import (
    INVALID_ARGUMENT,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Call,
    Method,
)
from clew.server.http2.unary import Refusal
from clew.server.proxies import NO_FACTS
from clew.server.pulse import Pulse
from clew.server.traffic_edges import Series, series_of
from clew.server.traffic_window import TrafficWindow

# A proxy that has not been heard for so long counts nothing any more: its clients' counts do.
_SILENT_SECONDS = 60.0
# Of one proxy. Its memory is bounded by its own series, too.
_MOST_SERIES = 4_000

# Reports are taken together with those that come within this time, if they are not many or long.
_TOGETHER_SECONDS = 0.25
_MOST_TOGETHER, _LONG = 64, 64 * 1024

# How many there were, by when that was said.
_Lately = list[tuple[float, int]]
_decoder = msgspec.msgpack.Decoder(TrafficReport)


@dataclass(slots=True)
class Reporter:
    """One proxy that reports. ``denied``, ``denied_connections``: how many requests and connections
    its policies refused, by when it said so.

    ``ejected``: how many endpoints of each cluster it leaves alone. ``last``: which report was
    taken last, by agent and number.
    """

    proxy: Proxy
    own: Own
    heard: float
    last: tuple[int, int] = (0, 0)
    denied: _Lately = field(default_factory=list)
    denied_connections: _Lately = field(default_factory=list)
    ejected: Mapping[str, int] = field(default_factory=dict)
    facts: ProxyFacts = NO_FACTS
    series: dict[tuple[str, bool], Series | None] = field(default_factory=dict)

    def series_of(self, tag: str, *, tcp: bool) -> Series | None:
        try:
            return self.series[tag, tcp]
        except KeyError:
            if len(self.series) >= _MOST_SERIES:
                self.series.clear()
            found = self.series[tag, tcp] = series_of(self.own, tag, tcp=tcp)
            return found


class TrafficReports:
    """The gRPC method of agents. Who reports is told by the client certificate alone.

    ``now``: in seconds, the clock of the window. ``counts``: whether a sidecar counts the requests
    that arrive at its workload.
    """

    def __init__(
        self,
        window: TrafficWindow,
        now: Callable[[], float],
        counts: Callable[[Proxy], bool] = lambda proxy: True,
    ) -> None:
        self.window = window
        self.now = now
        self._counts_requests = counts
        self.taken = 0
        self._proxies: dict[str, Proxy] = {}
        self._streams = Counter[str]()
        self._reporters: dict[str, Reporter] = {}
        # When a sidecar of a workload was last heard, and which that was.
        self._sidecars: dict[tuple[str, str], tuple[float, Proxy]] = {}
        self._pulse = Pulse()
        # What has come and is to be taken, from whom, and when it came.
        self._heard: list[tuple[_Reports, bytes, float]] = []

    def come(self, proxy: Proxy) -> None:
        """A proxy has connected: what it says of itself is known. It may do so several times."""
        name = mtls.peer_name(proxy)
        self._streams[name] += 1
        self._proxies[name] = proxy
        # It has not said yet that it counts, but is going to.
        self._note_sidecar(proxy, _workload(proxy), self.now())

    def gone(self, proxy: Proxy) -> None:
        name = mtls.peer_name(proxy)
        self._streams[name] -= 1
        if self._streams[name] <= 0:
            del self._streams[name], self._proxies[name]

    def methods(self) -> Mapping[str, Method]:
        return {METHOD: Method(lambda call: _Reports(call, self), LONGEST_REPORT)}

    @property
    def reporters(self) -> tuple[Reporter, ...]:
        """Those that have reported lately."""
        since = self.now() - _SILENT_SECONDS
        return tuple(each for each in self._reporters.values() if each.heard > since)

    def facts(self, proxy: Proxy) -> ProxyFacts:
        """What a proxy's agent has said of it."""
        known = self._reporters.get(mtls.peer_name(proxy))
        return known.facts if known is not None else NO_FACTS

    def denying(self, seconds: float) -> Mapping[tuple[str, str], Proxy]:
        """A proxy of each workload (namespace first) whose policies refused requests lately."""
        since = self.now() - seconds
        return {
            (each.own.peer.namespace, each.own.peer.workload): each.proxy
            for each in self._reporters.values()
            if any(at > since for at, _ in each.denied)
        }

    def denying_connections(self, seconds: float) -> Iterator[tuple[Reporter, int]]:
        """Yield whose policies have refused connections lately, and how many."""
        since = self.now() - seconds
        for each in self._reporters.values():
            if number := sum(n for at, n in each.denied_connections if at > since):
                yield each, number

    def proxy_of(self, workload: tuple[str, str]) -> Proxy | None:
        """One of a workload's proxies that have reported lately, namespace first."""
        for each in self.reporters:
            if (each.own.peer.namespace, each.own.peer.workload) == workload:
                return each.proxy
        return None

    async def changed(self) -> None:
        """Wait for the next report that has something in it."""
        await self._pulse.next()

    def hear(self, call: _Reports, body: bytes) -> None:
        """Take a report soon, with others: alone, each finds the processor's caches cold."""
        self._heard.append((call, body, self.now()))
        if len(self._heard) == 1:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self.take_heard)
        elif len(self._heard) >= _MOST_TOGETHER or len(body) > _LONG:
            self.take_heard()

    def take_heard(self) -> None:
        """Take all that has come."""
        heard, self._heard = self._heard, []
        for call, body, at in heard:
            call.take(body, at)

    def take_from(self, peer: mtls.Peer | None, body: bytes, at: float) -> None:
        """Take a report that came then, unless it was taken before. Raises: Refusal."""
        reporter = self._reporter(peer)
        try:
            report = _decoder.decode(body)
            agent, number = reporter.last
            if report.agent != agent or report.number > number:
                reporter.last = report.agent, report.number
                self.take(reporter, report, at)
        except msgspec.MsgspecError as error:
            raise Refusal(INVALID_ARGUMENT, f"this is no report of traffic: {error}") from None

    def _reporter(self, peer: mtls.Peer | None) -> Reporter:
        """Who reports, and as which workload. Raises: Refusal."""
        if peer is None or not peer.proxy:
            raise Refusal(UNAUTHENTICATED, "report with the certificate of a proxy")
        return self.meet(peer.proxy, str(peer.identity))

    def meet(self, name: str, principal: str) -> Reporter:
        """Who is connected by this name. Raises: Refusal."""
        proxy = self._proxies.get(name)
        if proxy is None:
            raise Refusal(UNAVAILABLE, f"the proxy {name} is not connected; report later")
        now = self.now()
        known = self._reporters.get(name)
        if known is None or known.proxy != proxy:
            self._forget(now)
            last = known.last if known is not None else (0, 0)
            own = Own(_workload(proxy), principal)
            known = self._reporters[name] = Reporter(proxy, own, now, last)
        known.heard = now
        return known

    def _forget(self, now: float) -> None:
        """Drop the proxies that have gone."""
        since = now - _SILENT_SECONDS
        self._reporters = {n: each for n, each in self._reporters.items() if each.heard > since}
        self._sidecars = {w: known for w, known in self._sidecars.items() if known[0] > since}

    def take(self, reporter: Reporter, report: TrafficReport, at: float) -> None:
        """Put a report that came then into the window. Raises: MsgspecError for nonsense."""
        self.taken += 1
        self._note_sidecar(reporter.proxy, reporter.own.peer, at)
        if report.facts is not None:
            reporter.facts = report.facts
        reporter.denied = _lately(reporter.denied, at, report.denied)
        reporter.denied_connections = _lately(
            reporter.denied_connections, at, report.denied_connections
        )
        end = at - min(report.ago, OLDEST_SECONDS)
        start = end - min(report.seconds, OLDEST_SECONDS)
        for counted in report.counted if end >= self.window.began else ():
            series = reporter.series_of(counted.tag, tcp=counted.is_tcp)
            if series is not None:
                self._count(series, counted, start, end)
        ejected, reporter.ejected = reporter.ejected, report.ejected
        denies = report.denied or report.denied_connections
        if report.counted or denies or report.ejected != ejected:
            self._pulse.beat()

    def _note_sidecar(self, proxy: Proxy, own: Peer, at: float) -> None:
        if proxy.type is ProxyType.SIDECAR:
            self._sidecars[own.namespace, own.workload] = at, proxy

    def _count(self, series: Series, counted: Counted, start: float, end: float) -> None:
        """Take of a series what makes neither calls nor their durations count twice."""
        if series.also is not None and self._counts(series.also, end):
            self.window.add_waits(series.there, bins_of(counted.durations), start, end)
            return
        edge, counts = series.edge, series.counts(counted)
        since = end - _SILENT_SECONDS
        if edge.reporter != DESTINATION or not self.window.has_waits(edge, since):
            counts |= bins_of(counted.durations)
        self.window.add(edge, counts, start, end)

    def _counts(self, workload: tuple[str, str], now: float) -> bool:
        """Whether a sidecar of the workload counts what arrives there."""
        known = self._sidecars.get(workload)
        if known is None or now - known[0] >= _SILENT_SECONDS:
            return False
        return self._counts_requests(known[1])


def _lately(before: _Lately, at: float, number: int) -> _Lately:
    if not number:
        return before
    return [*(each for each in before if each[0] > at - _SILENT_SECONDS), (at, number)]


class _Reports:
    """The call of one agent."""

    def __init__(self, call: Call, reports: TrafficReports) -> None:
        self._call = call
        self._peer = mtls.peer_of(call.caller)
        self._reports = reports

    def message(self, body: bytes) -> None:
        self._reports.hear(self, body)

    def take(self, body: bytes, at: float) -> None:
        """Who says nonsense hears of it as the end of the call."""
        self._call.guarded(lambda: self._take(body, at))

    def _take(self, body: bytes, at: float) -> None:
        try:
            self._reports.take_from(self._peer, body, at)
        except Refusal as refusal:
            self._call.finish(refusal.code, str(refusal))

    def ended(self) -> None:
        self._reports.take_heard()
        self._call.send(b"")
        self._call.finish()

    def drained(self) -> None: ...

    def closed(self) -> None: ...


def _workload(proxy: Proxy) -> Peer:
    return Peer.of(proxy.workload, proxy.namespace, dict(proxy.labels), CLUSTER)
