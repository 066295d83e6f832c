"""TLS towards upstreams: the mesh's own wherever both sides can, or as a DestinationRule says."""

from __future__ import annotations

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.base_pb2 import TransportSocket
from clew._pb.envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from clew._pb.envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2,
)
from clew.compile.connection_pool import Version
from clew.compile.endpoint_facts import Coverage
from clew.compile.secrets import OWN_TLS
from clew.compile.traffic_policy import Policy
from clew.compile.transport_sockets import (
    RAW_BUFFER,
    client_tls_socket,
    mesh_upstream_socket,
)
from clew.compile.typed_config import typed_config
from clew.model.destination_rule import (
    ClientTLSMode,
    ClientTLSSettings,
    DestinationRule,
    ProxyProtocolVersion,
)
from clew.model.mesh_config import MeshConfig
from clew.model.service import Service
from clew.snapshot.scope import MutualTls

# What we offer tells the server's filter chains what is inside. Names of real protocols are left
# to HTTP/2: the server then selects it, and needs not look at the first bytes.
_OFFERS = {
    Version.TCP: ("istio",),
    Version.HTTP1: ("istio-http/1.1", "istio"),
    Version.HTTP2: ("istio-h2", "istio", "h2"),
    Version.AS_CLIENT: ("istio",),
}
_FOREIGN_OFFERS: dict[Version, tuple[str, ...]] = {
    Version.HTTP2: ("h2",),
    Version.AS_CLIENT: ("h2", "http/1.1"),
}

# What marks an endpoint that does not accept mutual TLS among others that do. (Istio marks those
# that do. They are nearly all, and a mark takes 4 KB of an Envoy's memory.)
SOCKET_MATCH = "envoy.transport_socket_match"
TLS_MODE, PLAINTEXT = "tlsMode", "disabled"

_PLAINTEXT = ClientTLSSettings(mode=ClientTLSMode.DISABLE)
_FOR_EVERYONE = "configmap://"


def tls_in_force(
    declared: ClientTLSSettings | None, rule: DestinationRule | None, *, router: bool
) -> ClientTLSSettings | None:
    """The settings as a proxy follows them; None: nobody has declared any.

    A Secret is not for every sidecar that happens to see a rule: only one that the rule selects by
    its labels gets it. The others speak plaintext.
    Source: istio ``buildUpstreamClusterTLSContext``.
    """
    if declared is None:
        return None
    if declared.mode is None:
        return _PLAINTEXT
    name = declared.credential_name
    if not name or name.startswith(_FOR_EVERYONE) or router:
        return declared
    selecting = rule is not None and rule.spec.workload_selector is not None
    return declared if selecting or declared.mode not in OWN_TLS else _PLAINTEXT


def mesh_tls_of(
    service: Service,
    declared: ClientTLSSettings | None,
    mode: MutualTls | None,
    coverage: Coverage,
    mesh: MeshConfig,
) -> Coverage:
    """For how many of the endpoints mesh mTLS is used.

    Automatic unless a DestinationRule speaks: where the server side is known to accept it.
    Source: istio ``applyUpstreamTLSSettings``, ``BestEffortInferServiceMTLSMode``.
    """
    if declared is not None:
        return Coverage.ALL if declared.mode is ClientTLSMode.ISTIO_MUTUAL else Coverage.NONE
    unknown = mode is None or mode is MutualTls.DISABLE
    if not mesh.enable_auto_mtls or service.mesh_external or unknown:
        return Coverage.NONE
    return coverage


def apply_upstream_tls(
    cluster: Cluster,
    policy: Policy,
    coverage: Coverage,
    version: Version,
    *,
    sans: tuple[str, ...],
    server_name: str,
    mesh: MeshConfig,
) -> None:
    """Set how connections of ``cluster`` are secured; plaintext needs nothing."""
    declared = policy.tls
    if declared is not None:
        ours = declared.mode is ClientTLSMode.ISTIO_MUTUAL
        offers = _OFFERS[version] if ours else _FOREIGN_OFFERS.get(version, ())
        socket = client_tls_socket(declared, sans=sans, sni=server_name, alpn=offers, mesh=mesh)
        _set_socket(cluster, socket, policy)
        return
    if coverage is Coverage.NONE:
        _set_socket(cluster, RAW_BUFFER, policy)
        return
    mutual = mesh_upstream_socket(sans, server_name, _OFFERS[version], mesh)
    if coverage is Coverage.ALL:
        _set_socket(cluster, mutual, policy)
        return
    plain = cluster.transport_socket_matches.add(name="tlsMode-disabled")
    plain.match.update({TLS_MODE: PLAINTEXT})
    plain.transport_socket.CopyFrom(_wrapped(RAW_BUFFER, policy))
    others = cluster.transport_socket_matches.add(name="tlsMode-istio")
    others.match.SetInParent()
    others.transport_socket.CopyFrom(_wrapped(mutual, policy))


def _set_socket(cluster: Cluster, socket: TransportSocket, policy: Policy) -> None:
    if socket is not RAW_BUFFER or policy.proxy_protocol is not None:
        cluster.transport_socket.CopyFrom(_wrapped(socket, policy))


def _wrapped(socket: TransportSocket, policy: Policy) -> TransportSocket:
    """``socket`` behind a PROXY protocol header, where the policy asks for one."""
    if policy.proxy_protocol is None:
        return socket
    second = policy.proxy_protocol.version is ProxyProtocolVersion.V2
    version = ProxyProtocolConfig.V2 if second else ProxyProtocolConfig.V1
    return TransportSocket(
        name="envoy.transport_sockets.upstream_proxy_protocol",
        typed_config=typed_config(
            upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
                config=ProxyProtocolConfig(version=version), transport_socket=socket
            )
        ),
    )
