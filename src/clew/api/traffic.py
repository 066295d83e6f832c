"""What the admin API answers about traffic: who calls whom, how much, how fast, how well.

Counts are of the window that was asked for; shares are between 0 and 1; bytes are bytes, times are
milliseconds, and rates are per second.
"""

from __future__ import annotations

from typing import Literal

from clew.api.messages import Message
from clew.api.views import Trouble

NodeKind = Literal["workload", "service", "unknown", "other"]


class Latency(Message, frozen=True, kw_only=True):
    """Percentiles of all requests, failed ones too, in milliseconds, from Envoy's histograms.

    As long as the caller waited, where it has a proxy that says so, else as the destination's says.
    """

    p50: float
    p90: float
    p95: float
    p99: float


class Traffic(Message, frozen=True, kw_only=True):
    """What went over an edge, or in or out of a node.

    ``server_errors``: responses 5xx, and requests that never got one (code 0). ``error_share``: of
    these in all requests. ``denied``: responses 403. ``codes`` and ``flags``: requests by response
    code (``"200"``) and by Envoy's response flag (``"UH"``); those without a flag are in none.
    ``latency``: null without requests. ``connections_…``, ``sent_bytes`` (to the client) and
    ``received_bytes``: TCP alone. ``mutual_tls``: the share of requests and connections over mTLS,
    null where nobody knows: what leaves the mesh, and what failed before it was sent.
    """

    requests: int = 0
    requests_per_second: float = 0.0
    client_errors: int = 0
    server_errors: int = 0
    error_share: float = 0.0
    denied: int = 0
    codes: dict[str, int] = {}
    flags: dict[str, int] = {}
    latency: Latency | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    connections_opened: int = 0
    connections_closed: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    mutual_tls: float | None = None


class TrafficNode(Message, frozen=True, kw_only=True):
    """A workload, a service, whoever is ``unknown``, or all the ``other`` ones beyond the bounds.

    ``id`` is what edges name: ``workload/default/reviews-v1``, ``service/default/reviews.default
    .svc.cluster.local``, ``unknown`` or ``other``. ``version`` and ``service`` (the canonical one)
    are of workloads. ``inbound`` and ``outbound`` add up the edges in the answer.
    """

    id: str
    kind: NodeKind
    namespace: str = ""
    name: str = ""
    version: str = ""
    service: str = ""
    inbound: Traffic = Traffic()
    outbound: Traffic = Traffic()


class TrafficEdge(Message, frozen=True, kw_only=True):
    """Requests or connections of one workload for one service that one workload served.

    ``source``, ``service`` and ``destination`` are ids of nodes. ``service`` is "" where the caller
    named none; ``destination`` is "" where no workload was reached or it is outside the mesh.
    ``protocol``: ``http``, ``grpc`` or ``tcp``. ``reporter``: which side counted, ``destination``
    wherever that has a sidecar, and ``source`` for what leaves the mesh or never arrived.
    """

    source: str
    service: str = ""
    destination: str = ""
    version: str = ""
    protocol: str = "http"
    reporter: str = "destination"
    traffic: Traffic = Traffic()


class Crowd(Message, frozen=True, kw_only=True):
    """A workload whose calls make many edges."""

    node: str
    edges: int


class TrafficGraph(Message, frozen=True, kw_only=True):
    """``GET /v1/traffic?window=60&namespace=…``: edges and their nodes, busiest edges first.

    ``window``: the seconds that the counts are of, at most what the control plane has seen.
    ``until``: when it ends, RFC 3339. ``total``: of all edges in the answer, each call once.
    ``most_edges``: the bound; what is beyond it is in the node ``other``, and ``crowds`` then names
    the workloads that made the most edges. ``proxies``: how many report. ``troubles``: what traffic
    shows to be wrong now, in all namespaces, the worst first.
    """

    window: float
    until: str
    total: Traffic = Traffic()
    nodes: tuple[TrafficNode, ...] = ()
    edges: tuple[TrafficEdge, ...] = ()
    most_edges: int = 0
    crowds: tuple[Crowd, ...] = ()
    proxies: int = 0
    troubles: tuple[Trouble, ...] = ()


class SeriesPoint(Message, frozen=True, kw_only=True):
    """One step of a chart. ``at``: its beginning, in seconds since 1970.

    Rates are per second. Percentiles are in milliseconds, null without requests.
    """

    at: float
    requests: float = 0.0
    client_errors: float = 0.0
    server_errors: float = 0.0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    request_bytes: float = 0.0
    response_bytes: float = 0.0
    connections: float = 0.0
    tcp_bytes: float = 0.0


class Series(Message, frozen=True, kw_only=True):
    """``name``: "" for all of what was asked for, else a version, workload or service."""

    name: str = ""
    points: tuple[SeriesPoint, ...] = ()


class SeriesList(Message, frozen=True, kw_only=True):
    """``GET /v1/traffic/series?window=900&step=5&by=version``, oldest points first.

    ``source``, ``service``, ``destination``: only edges with these nodes (ids, so into a service
    is ``service=service/default/reviews…``). ``namespace``: only edges that begin or end there.
    ``by``: one series for each ``version``, ``source``, ``destination`` or ``service``, busiest
    first, at most 20. ``step``: in seconds, rounded up to what is kept: 5 for windows up to 15
    minutes, 300 for those up to 6 hours. The last point is that of the last complete step.
    """

    step: float
    series: tuple[Series, ...] = ()
