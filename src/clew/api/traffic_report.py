"""What a proxy's agent reports of traffic to the control plane, over gRPC, as MessagePack.

An agent has one call, on which each message is a report; the answer comes when it says that there
will be no more. When a call breaks, it says on the next what it said last: what was taken already,
the control plane knows by its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from clew.api.messages import Message

METHOD = "/clew.traffic.v1.Traffic/Report"
LONGEST_REPORT = 4 * 1024 * 1024
# How often proxies report what is new.
REPORT_SECONDS = 2.5
# What could not be told for so long is of the past, and the control plane's window about now.
OLDEST_SECONDS = 10.0

Bin = Annotated[int, Meta(ge=0, lt=1 << 10)]
Code = Annotated[int, Meta(ge=0, lt=1000)]
Count = Annotated[int, Meta(ge=0, lt=1 << 48)]
Seconds = Annotated[float, Meta(ge=0)]
# Of which a calendar has the date.
Time = Annotated[float, Meta(ge=0, lt=1 << 37)]

_bins = msgspec.msgpack.Decoder(dict[Bin, Count])


class Counted(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What a proxy has counted since it last said, of one series but for the response code.

    ``tag``: the value of `clew.model.metrics.PEER_TAG`, whose code does not matter. ``requests``:
    by code, 0: there was no response. ``durations``: see `bins_of`; both sides of a call tell them,
    and those of one are read. Bytes are sums. ``opened`` … ``received`` are of TCP.
    """

    tag: str
    requests: dict[Code, Count] = {}
    durations: bytes = b""
    request_bytes: Count = 0
    response_bytes: Count = 0
    opened: Count = 0
    closed: Count = 0
    sent: Count = 0
    received: Count = 0

    @property
    def is_tcp(self) -> bool:
        return bool(self.opened or self.closed or self.sent or self.received)


def durations_of(bins: Mapping[int, int]) -> bytes:
    """How many requests there were in each bin (`clew.model.histogram`), of milliseconds."""
    return msgspec.msgpack.encode(bins) if bins else b""


def bins_of(durations: bytes) -> dict[int, int]:
    """Read it back. Raises: MsgspecError."""
    return _bins.decode(durations) if durations else {}


class ProxyFacts(Message, frozen=True, kw_only=True):
    """Envoy's version, and between which times its certificate is good, in seconds since 1970."""

    version: str = ""
    certificate_begins: Time = 0.0
    certificate_ends: Time = 0.0


class TrafficReport(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What has come since the report before. Who reports, its certificate says.

    ``agent``: what the agent drew by lot when it began. ``number``: greater than that of its report
    before. ``seconds``: for how long it counted, which ended so many seconds ``ago``. ``denied``,
    ``denied_connections``: requests and connections that the proxy's policies refused.
    ``ejected``: how many endpoints of each cluster it leaves alone, because they fail. ``facts``:
    now and then.
    """

    agent: Count = 0
    number: Count = 0
    seconds: Seconds
    ago: Seconds = 0.0
    counted: tuple[Counted, ...] = ()
    denied: Count = 0
    denied_connections: Count = 0
    ejected: dict[str, Count] = {}
    facts: ProxyFacts | None = None
