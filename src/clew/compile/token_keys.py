"""Where Envoy has an issuer's keys from: the rule itself, or a server that it asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtProvider
from clew.compile.json_web_keys import has_usable_key
from clew.compile.resources import resource
from clew.compile.secrets import system_roots
from clew.compile.transport_sockets import client_tls_socket
from clew.model.addresses import is_ip
from clew.model.destination_rule import ClientTLSMode, ClientTLSSettings
from clew.model.mesh_config import MeshConfig
from clew.model.xds import EnvoyResource
from clew.snapshot.request_authentication import RemoteKeys, TokenRule

# A key to which nobody has the private half: where the issuer's are not known, no token is good.
_NOBODYS_KEY = (
    '{"keys": [{"kty": "RSA", "e": "AQAB", "n": "'
    "qLUAdZTGK05ebXcOqgwf1nx_yfBREGg1Oqa5gskpDc9F7gw-a2-nf00TqqxYnevTDarquEtzBEsk0cMxEU-40Dxl"
    "EhdnQO6RbQ_WtwvmNbO7mIhU3uw_DyOcbcTf2va07zo0h_h5hAke0MTVGNRCOtHn9XZgTV75vsOvV7UPUBXqEFiJ"
    "qOK97K564wB6uAzaNOGK0dlpNqEoPmMvIwokBmgkjtzOvFtiNprJpOlSUjVT8r7_tLuJtFCk-ayIDtWYdG0Th3Pn"
    'MMTuAUtase_T7T_sE_Cw5FWEM7K8J2kBeAhf7WJrubbG1JlmWCo6nZO8xQfa_oB9kCU7Ai469j4Acw"}]}'
)
# Source: Istio: how long one answer may take, and how long Envoy goes by it.
_TIMEOUT = timedelta(seconds=5)
_FRESH = timedelta(minutes=5)
# A server that does not answer is asked again sooner, also while no request wants its keys.
_RETRY = timedelta(seconds=5)


def set_keys(provider: JwtProvider, token: TokenRule) -> None:
    """Say where the keys are. They are fetched before the first request, and again in time.

    A listener does not wait for them: while they are missing, requests with a token do.
    """
    rule, keys = token.rule, token.keys
    if keys is None:
        usable = has_usable_key(rule.jwks)
        provider.local_jwks.inline_string = rule.jwks if usable else _NOBODYS_KEY
        return
    remote = provider.remote_jwks
    remote.http_uri.uri = keys.uri
    remote.http_uri.cluster = keys.cluster
    remote.http_uri.timeout.FromTimedelta(rule.timeout.timedelta if rule.timeout else _TIMEOUT)
    remote.cache_duration.FromTimedelta(_FRESH)
    remote.async_fetch.fast_listener = True
    remote.async_fetch.failed_refetch_duration.FromTimedelta(_RETRY)


def compile_key_clusters(
    tokens: Iterable[TokenRule], mesh: MeshConfig
) -> tuple[EnvoyResource, ...]:
    """The clusters to servers of keys that are no services of the mesh, one for each."""
    found = [token.keys for token in tokens if token.keys and not token.keys.of_service]
    clusters = {keys.cluster: _cluster(keys, mesh) for keys in found}
    return tuple(resource(name, cluster) for name, cluster in sorted(clusters.items()))


def compile_key_secrets(tokens: Iterable[TokenRule]) -> tuple[EnvoyResource, ...]:
    """What those servers are verified by, if one of them speaks TLS."""
    if not any(t.keys and t.keys.tls and not t.keys.of_service for t in tokens):
        return ()
    roots = system_roots()
    return (resource(roots.name, roots),)


def _cluster(keys: RemoteKeys, mesh: MeshConfig) -> Cluster:
    cluster = Cluster(name=keys.cluster)
    cluster.connect_timeout.FromTimedelta(mesh.connect_timeout.timedelta)
    if is_ip(keys.host):
        cluster.type = Cluster.STATIC
    else:
        cluster.type = Cluster.LOGICAL_DNS
        cluster.dns_lookup_family = Cluster.V4_PREFERRED
        cluster.respect_dns_ttl = True
    assignment = ClusterLoadAssignment(cluster_name=keys.cluster)
    address = assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = keys.host, keys.port
    cluster.load_assignment.CopyFrom(assignment)
    if keys.tls:
        settings = ClientTLSSettings(mode=ClientTLSMode.SIMPLE, sni=keys.host)
        socket = client_tls_socket(settings, sans=(keys.host,), sni="", alpn=(), mesh=mesh)
        cluster.transport_socket.CopyFrom(socket)
    return cluster
