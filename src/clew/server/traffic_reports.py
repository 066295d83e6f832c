"""Takes what proxies report of their traffic; each reports for itself alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from clew.api.traffic_report import (
    LONGEST_REPORT,
    METHOD,
    Counted,
    ProxyFacts,
    ReportTaken,
    TrafficReport,
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
from clew.server.http2.unary import Refusal, unary
from clew.server.pulse import Pulse
from clew.server.traffic_counts import Counts, add, timed
from clew.server.traffic_edges import Series, series_of
from clew.server.traffic_window import Edge, TrafficWindow

# How often proxies report what is new.
REPORT_SECONDS = 2.5
# A report tells of no longer than this; what is older is past.
_LONGEST_SECONDS = 10.0
# A proxy that has not been heard for so long counts nothing any more: its clients' counts do.
_SILENT_SECONDS = 60.0
# Of one proxy. Its memory is bounded by its own series, too.
_MOST_SERIES = 4_000

NO_FACTS = ProxyFacts()
_decoder = msgspec.json.Decoder(TrafficReport)
_TAKEN = msgspec.json.encode(ReportTaken(seconds=REPORT_SECONDS))


@dataclass(slots=True)
class Reporter:
    """One proxy that reports. ``denied``: calls that its policies refused, by when it said so.

    ``ejected``: how many endpoints of each cluster it leaves alone.
    """

    proxy: Proxy
    own: Own
    heard: float
    denied: list[tuple[float, int]] = field(default_factory=list)
    ejected: Mapping[str, int] = field(default_factory=dict)
    facts: ProxyFacts = NO_FACTS
    series: dict[tuple[str, bool], Series | None] = field(default_factory=dict)

    def series_of(self, tag: str, *, tcp: bool) -> Series | None:
        if (tag, tcp) not in self.series:
            if len(self.series) >= _MOST_SERIES:
                self.series.clear()
            self.series[tag, tcp] = series_of(self.own, tag, tcp=tcp)
        return self.series[tag, tcp]


class TrafficReports:
    """The gRPC method of agents. Who reports is told by the client certificate alone.

    ``now``: in seconds, the clock of the window.
    """

    def __init__(self, window: TrafficWindow, now: Callable[[], float]) -> None:
        self.window = window
        self.now = now
        self.taken = 0
        self._proxies: dict[str, Proxy] = {}
        self._streams = Counter[str]()
        self._reporters: dict[str, Reporter] = {}
        # The workloads whose sidecars count what arrives, and when one was last heard.
        self._counting: dict[tuple[str, str], float] = {}
        # The edges of which the calling side says how long calls took, and when it last did.
        self._timed: dict[Edge, float] = {}
        self._pulse = Pulse()

    def come(self, proxy: Proxy) -> None:
        """A proxy has connected: what it says of itself is known. It may do so several times."""
        name = _name(proxy)
        self._streams[name] += 1
        self._proxies[name] = proxy
        if proxy.type is ProxyType.SIDECAR:
            own = _workload(proxy)
            # It has not said yet that it counts, but is going to.
            self._counting[own.namespace, own.workload] = self.now()

    def gone(self, proxy: Proxy) -> None:
        name = _name(proxy)
        self._streams[name] -= 1
        if self._streams[name] <= 0:
            del self._streams[name], self._proxies[name]

    def methods(self) -> Mapping[str, Method]:
        return {METHOD: unary(self._report, LONGEST_REPORT)}

    @property
    def reporters(self) -> tuple[Reporter, ...]:
        """Those that have reported lately."""
        since = self.now() - _SILENT_SECONDS
        return tuple(each for each in self._reporters.values() if each.heard > since)

    def facts(self, proxy: Proxy) -> ProxyFacts:
        """What a proxy's agent has said of it."""
        known = self._reporters.get(_name(proxy))
        return known.facts if known is not None else NO_FACTS

    def denying(self, seconds: float) -> Mapping[tuple[str, str], Proxy]:
        """A proxy of each workload (namespace first) whose policies have refused calls lately."""
        since = self.now() - seconds
        return {
            (each.own.peer.namespace, each.own.peer.workload): each.proxy
            for each in self._reporters.values()
            if any(at > since for at, _ in each.denied)
        }

    def proxy_of(self, workload: tuple[str, str]) -> Proxy | None:
        """One of a workload's proxies that have reported lately, namespace first."""
        for each in self.reporters:
            if (each.own.peer.namespace, each.own.peer.workload) == workload:
                return each.proxy
        return None

    async def changed(self) -> None:
        """Wait for the next report that has something in it."""
        await self._pulse.next()

    def _report(self, call: Call, body: bytes) -> bytes:
        reporter = self._reporter(mtls.peer_of(call.caller))
        try:
            report = _decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise Refusal(INVALID_ARGUMENT, f"this is no report of traffic: {error}") from None
        self.take(reporter, report)
        return _TAKEN

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
            known = self._reporters[name] = Reporter(proxy, Own(_workload(proxy), principal), now)
        known.heard = now
        return known

    def _forget(self, now: float) -> None:
        """Drop the proxies that have gone."""
        since = now - _SILENT_SECONDS
        self._reporters = {n: each for n, each in self._reporters.items() if each.heard > since}
        self._counting = {w: heard for w, heard in self._counting.items() if heard > since}
        self._timed = {e: heard for e, heard in self._timed.items() if heard > since}

    def take(self, reporter: Reporter, report: TrafficReport) -> None:
        """Put a report into the window."""
        now = self.now()
        self.taken += 1
        if reporter.proxy.type is ProxyType.SIDECAR:
            self._counting[reporter.own.peer.namespace, reporter.own.peer.workload] = now
        if report.facts is not None:
            reporter.facts = report.facts
        if report.denied:
            recent = [each for each in reporter.denied if each[0] > now - _SILENT_SECONDS]
            reporter.denied = [*recent, (now, report.denied)]
        start = now - min(max(report.seconds, 0.0), _LONGEST_SECONDS)
        for edge, counts in self._by_edge(reporter, report, now).items():
            self.window.add(edge, counts, start, now)
        ejected, reporter.ejected = reporter.ejected, report.ejected
        if report.counted or report.denied or report.ejected != ejected:
            self._pulse.beat()

    def _by_edge(
        self, reporter: Reporter, report: TrafficReport, now: float
    ) -> Mapping[Edge, Counts]:
        found: dict[Edge, Counts] = {}
        for counted in report.counted:
            series = reporter.series_of(counted.tag, tcp=counted.is_tcp)
            if series is None:
                continue
            edge, counts = self._taken(series, counted, now)
            if counts and (before := found.setdefault(edge, counts)) is not counts:
                add(before, counts)
        return found

    def _taken(self, series: Series, counted: Counted, now: float) -> tuple[Edge, Counts]:
        """What of a series is taken, so that neither calls nor their durations count twice."""
        if series.also is not None and self._counts(series.also, now):
            if not counted.durations or series.there not in self.window:
                return series.there, {}
            self._timed[series.there] = now
            return series.there, timed(counted.durations)
        if series.edge.reporter == DESTINATION and self._is_timed(series.edge, now):
            counted = msgspec.structs.replace(counted, durations={})
        return series.edge, series.counts(counted)

    def _is_timed(self, edge: Edge, now: float) -> bool:
        """Whether the calling side says how long calls take."""
        return now - self._timed.get(edge, -_SILENT_SECONDS) < _SILENT_SECONDS

    def _counts(self, workload: tuple[str, str], now: float) -> bool:
        """Whether a sidecar of the workload counts what arrives there."""
        return now - self._counting.get(workload, -_SILENT_SECONDS) < _SILENT_SECONDS


def _name(proxy: Proxy) -> str:
    """As certificates have it."""
    return f"{proxy.name}.{proxy.namespace}"


def _workload(proxy: Proxy) -> Peer:
    name = dict(proxy.metadata).get("WORKLOAD_NAME", "") or proxy.name
    return Peer.of(name, proxy.namespace, dict(proxy.labels), CLUSTER)
