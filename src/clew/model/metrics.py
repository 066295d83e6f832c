"""Names of Istio's standard metrics and their labels, and how Envoy carries them.

Envoy counts under one label, `PEER_TAG`, that has in it what only Envoy knows of a request. Who the
proxy itself is, its agent knows: it makes Istio's labels of both where metrics are read. That costs
a request a third of what Istio's two dozen labels would.

Source: https://istio.io/latest/docs/reference/config/metrics/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clew.model import names

UNKNOWN = "unknown"
# Every workload's cluster: a mesh has one registry. Source: Istio's default.
CLUSTER = "Kubernetes"

REQUESTS = "istio_requests_total"
DURATION = "istio_request_duration_milliseconds"
REQUEST_BYTES = "istio_request_bytes"
RESPONSE_BYTES = "istio_response_bytes"
TCP_SENT = "istio_tcp_sent_bytes_total"
TCP_RECEIVED = "istio_tcp_received_bytes_total"
TCP_OPENED = "istio_tcp_connections_opened_total"
TCP_CLOSED = "istio_tcp_connections_closed_total"

# Envoy's only: a histogram whose count is `REQUESTS` and whose values are `DURATION`.
REQUESTS_AND_DURATION = "istio_requests_and_duration_milliseconds"
# The same, and each of its requests is one of `REQUEST_BYTES` too: of no bytes, unless it is told
# in `REQUEST_BODIES`, which has all but requests by GET.
REQUESTS_AND_SIZES = "istio_requests_and_sizes_milliseconds"
REQUEST_BODIES = "istio_request_bodies_bytes"

# The label that holds what Envoy knows, and the one that names those of Istio's to be left out.
PEER_TAG = "clew_peer"
REMOVED_TAG = "clew_removed"

# By Istio's tag of spans, the variable of Envoy's environment that holds its value.
CANONICAL_VARIABLES = {
    "istio.canonical_service": "CLEW_CANONICAL_SERVICE",
    "istio.canonical_revision": "CLEW_CANONICAL_REVISION",
    "istio.mesh_id": "CLEW_MESH_ID",
    "istio.namespace": "CLEW_NAMESPACE",
    "istio.cluster_id": "CLEW_CLUSTER_ID",
}

# What Envoy prints for a value that is not there.
ABSENT = "-"
# Between the parts of `PEER_TAG`; the principal comes last, as it alone may contain it.
SEPARATOR = "~"

SOURCE, DESTINATION = "source", "destination"

WORKLOAD_LABELS = (
    "workload",
    "workload_namespace",
    "principal",
    "app",
    "version",
    "cluster",
    "canonical_service",
    "canonical_revision",
)
SERVICE_LABELS = (
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
)
# In Istio's order. TCP metrics have neither response codes nor gRPC statuses.
LABELS = (
    "reporter",
    *(f"{SOURCE}_{name}" for name in WORKLOAD_LABELS),
    *(f"{DESTINATION}_{name}" for name in WORKLOAD_LABELS),
    *SERVICE_LABELS,
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
)

_NAMES = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISIONS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
_APPS = ("app", "app.kubernetes.io/name", "service.istio.io/canonical-name")
_VERSIONS = ("version", "app.kubernetes.io/version")
# The revision of a workload without a version.
_LATEST = "latest"
# Istio's five parts of a workload, and two more.
_ISTIOS_PARTS, _ALL_PARTS = 5, 7


@dataclass(frozen=True, slots=True)
class Peer:
    """A workload as metrics know it; what is not known is ``""``."""

    workload: str = ""
    namespace: str = ""
    canonical_service: str = ""
    canonical_revision: str = ""
    cluster: str = ""
    app: str = ""
    version: str = ""

    @classmethod
    def of(cls, workload: str, namespace: str, labels: Mapping[str, str], cluster: str) -> Peer:
        """Source: Istio's canonical service, and its ``app`` and ``version`` labels."""
        canonical = _first(labels, _NAMES) or workload
        return cls(
            workload,
            namespace,
            canonical,
            _first(labels, _REVISIONS) or _LATEST,
            cluster,
            _first(labels, _APPS) or canonical,
            _first(labels, _VERSIONS),
        )

    def encode(self) -> str:
        """``reviews-v1;default;reviews;v1;Kubernetes``, Istio's ``istio.workload`` of endpoints.

        App and version follow only where they do not come from these, as they nearly always do.
        """
        parts = [
            self.workload,
            self.namespace,
            self.canonical_service,
            self.canonical_revision,
            self.cluster,
        ]
        if self.workload and (self.app, self.version) != _usual(*parts[2:4]):
            parts += [self.app, self.version]
        return ";".join(parts)

    @classmethod
    def decode(cls, text: str) -> Peer:
        """Read it back; nothing is known of text of any other form."""
        parts = text.split(";")
        if len(parts) == _ISTIOS_PARTS:
            parts += _usual(*parts[2:4])
        if len(parts) != _ALL_PARTS or not parts[0]:
            return NOBODY
        return cls(*parts)

    def labels(self, side: str, principal: str) -> dict[str, str]:
        """Istio's labels of the ``side`` (source or destination) that this workload is on."""
        values = (
            self.workload,
            self.namespace or namespace_of(principal),
            principal,
            self.app,
            self.version,
            self.cluster,
            self.canonical_service,
            self.canonical_revision or _LATEST,
        )
        return {
            f"{side}_{name}": value or UNKNOWN
            for name, value in zip(WORKLOAD_LABELS, values, strict=True)
        }


NOBODY = Peer()


def _usual(canonical_service: str, canonical_revision: str) -> tuple[str, str]:
    """App and version, as they are nearly always."""
    return canonical_service, "" if canonical_revision == _LATEST else canonical_revision


def _first(labels: Mapping[str, str], keys: tuple[str, ...]) -> str:
    for key in keys:  # Once for each endpoint: a generator takes three times as long.
        if value := labels.get(key):
            return value
    return ""


def namespace_of(principal: str) -> str:
    """``spiffe://cluster.local/ns/default/sa/reviews`` → ``default``, else ``""``."""
    words = principal.split("/")
    return words[4] if len(words) > 4 and words[3] == "ns" else ""


@dataclass(frozen=True, slots=True)
class ServiceName:
    """The service that a request was for."""

    host: str = UNKNOWN
    name: str = UNKNOWN
    namespace: str = UNKNOWN

    @property
    def labels(self) -> dict[str, str]:
        return dict(zip(SERVICE_LABELS, (self.host, self.name, self.namespace), strict=True))


NO_SERVICE = ServiceName()
_UNDECLARED_PORT = ServiceName(name=names.INBOUND_PASSTHROUGH_CLUSTER)


def service_of_cluster(text: str) -> ServiceName:
    """The service of an outbound cluster, ``outbound|9080|v1|reviews.default.svc.cluster.local``.

    A service that is not Kubernetes' own is not named after its namespace, which comes behind it:
    ``outbound|443||api.example.com;shop``. Other clusters have no service, and Istio calls it after
    them: ``PassthroughCluster``.
    """
    cluster, _, namespace = text.partition(";")
    parts = cluster.split("|")
    if len(parts) != 4:
        return NO_SERVICE if cluster in ("", ABSENT) else ServiceName(name=cluster)
    host = parts[3]
    if namespace not in ("", ABSENT):
        return ServiceName(host, host, namespace)
    words = host.split(".")
    if len(words) > 2 and words[2] == "svc":
        return ServiceName(host, words[0], words[1])
    return ServiceName(host, host)


def service_of_port(text: str) -> ServiceName:
    """The service of a server port, ``reviews.default.svc.cluster.local;reviews;default``.

    Ports that no service declares have none, and Istio calls it after their cluster.
    """
    parts = text.split(";")
    return ServiceName(*parts) if len(parts) == 3 else _UNDECLARED_PORT


@dataclass(frozen=True, slots=True)
class Own:
    """Whom a proxy stands for: its workload and its SPIFFE id."""

    peer: Peer
    principal: str


def istio_labels(own: Own, tag: str, *, tcp: bool = False) -> dict[str, str]:
    """Istio's labels, from the value of `PEER_TAG` and the proxy that counted.

    The value: reporter, the other side's workload, service, response code, response flags, gRPC
    status, the other side's principal. Empty if it has another form.
    """
    parts = tag.split(SEPARATOR, 6)
    if len(parts) != 7:
        return {}
    reporter, workload, service, code, flags, grpc, principal = parts
    encrypted = principal not in ("", ABSENT)
    other = Peer.decode(workload)
    others_name, own_name = (principal, own.principal) if encrypted else ("", "")
    if reporter == DESTINATION:
        sides = other.labels(SOURCE, others_name) | own.peer.labels(DESTINATION, own_name)
        policy = "mutual_tls" if encrypted else "none"
        served = service_of_port(service)
    else:
        sides = own.peer.labels(SOURCE, own_name) | other.labels(DESTINATION, others_name)
        policy = UNKNOWN  # as in Istio, where the client does not say
        served = service_of_cluster(service)
    labels = {"reporter": reporter, **sides, **served.labels}
    if tcp:
        labels["request_protocol"] = "tcp"
    else:
        status = "" if grpc == ABSENT else grpc
        labels["request_protocol"] = "grpc" if status else "http"
        labels["response_code"] = code if code not in ("", ABSENT) else "0"
        labels["grpc_response_status"] = status
    labels["response_flags"] = flags
    labels["connection_security_policy"] = policy
    return labels
