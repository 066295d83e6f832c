"""What a proxy's agent reports of traffic to the control plane, over gRPC, as JSON."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from clew.api.messages import Message

METHOD = "/clew.traffic.v1.Traffic/Report"
LONGEST_REPORT = 4 * 1024 * 1024

Bin = Annotated[int, Meta(ge=0, lt=1 << 10)]
Count = Annotated[int, Meta(ge=0, lt=1 << 48)]


class Counted(Message, frozen=True, kw_only=True):
    """What a proxy has counted under one value of `clew.model.metrics.PEER_TAG` since it last said.

    ``durations``: how many requests there were in each bin (`clew.model.histogram`), of
    milliseconds; bytes are sums. ``opened`` … ``received`` are of TCP.
    """

    tag: str
    requests: Count = 0
    durations: dict[Bin, Count] = {}
    request_bytes: Count = 0
    response_bytes: Count = 0
    opened: Count = 0
    closed: Count = 0
    sent: Count = 0
    received: Count = 0

    @property
    def is_tcp(self) -> bool:
        return bool(self.opened or self.closed or self.sent or self.received)


class ProxyFacts(Message, frozen=True, kw_only=True):
    """Envoy's version, and between which times its certificate is good, in seconds since 1970."""

    version: str = ""
    certificate_begins: float = 0.0
    certificate_ends: float = 0.0


class TrafficReport(Message, frozen=True, kw_only=True):
    """What has come since the last report that was answered. Who reports, its certificate says.

    ``seconds``: for how long that was. ``denied``: calls that its policies refused. ``ejected``:
    how many endpoints of each cluster it leaves alone, because they fail. ``facts``: now and then.
    """

    seconds: float
    counted: tuple[Counted, ...] = ()
    denied: Count = 0
    ejected: dict[str, Count] = {}
    facts: ProxyFacts | None = None


class ReportTaken(Message, frozen=True, kw_only=True):
    """The answer. ``seconds``: after how long to report again, if there is anything new."""

    seconds: float
