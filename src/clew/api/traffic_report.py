"""What a proxy's agent reports of traffic to the control plane, over gRPC, as JSON."""

from __future__ import annotations

from clew.api.messages import Message

METHOD = "/clew.traffic.v1.Traffic/Report"
LONGEST_REPORT = 4 * 1024 * 1024


class Counted(Message, frozen=True, kw_only=True):
    """What a proxy has counted under one value of `clew.model.metrics.PEER_TAG` since it last said.

    ``durations``: the requests, as how many there were in each bin of Envoy's histograms
    (`clew.model.histogram`), of milliseconds; bytes are sums. ``opened`` … ``received`` are of TCP.
    """

    tag: str
    durations: dict[int, int] = {}
    request_bytes: int = 0
    response_bytes: int = 0
    opened: int = 0
    closed: int = 0
    sent: int = 0
    received: int = 0


class TrafficReport(Message, frozen=True, kw_only=True):
    """What has come since the last report that was answered. Who reports, its certificate says.

    ``seconds``: for how long that was. ``denied``: calls that its policies refused.
    """

    seconds: float
    counted: tuple[Counted, ...] = ()
    denied: int = 0


class ReportTaken(Message, frozen=True, kw_only=True):
    """The answer. ``seconds``: after how long to report again, if there is anything new."""

    seconds: float
