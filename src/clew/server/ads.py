"""The ADS service: who may connect, and as which proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Generic

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
)
from clew.model.proxy import Proxy
from clew.model.spiffe import Identity
from clew.server.ads_call import Admission, AdsCall, Connection, ProxyDirectory
from clew.server.http2.call import Call, CallHandler, Method
from clew.server.mtls import Peer, peer_name
from clew.server.registration import Registration
from clew.server.trust import TrustBundles
from clew.xds.delta_stream import DeltaStream
from clew.xds.sotw_stream import SotwStream

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
# A first request may name thousands of resources with their versions.
LONGEST_REQUEST = 16 * 1024 * 1024

# Whether the caller with this certificate may be this proxy: "", or why not.
Authenticate = Callable[[Proxy, Peer | None], str]


def require_identity(trust_domains: Callable[[], Sequence[str]]) -> Authenticate:
    """The rule that a proxy is what its certificate says: of its namespace and service account,
    in one of the mesh's trust domains, and the very proxy that the certificate was made for.

    Source: istio PILOT_ENABLE_XDS_IDENTITY_CHECK, which leaves the proxy's name open.
    """

    def authenticate(proxy: Proxy, peer: Peer | None) -> str:
        domains = trust_domains()
        claimed = Identity(domains[0], proxy.namespace, proxy.service_account)
        if peer is None:
            return f"{claimed} is not proven: connect with the workload's certificate"
        proven = peer.identity
        if (
            proven.trust_domain not in domains
            or replace(proven, trust_domain=domains[0]) != claimed
        ):
            return f"the certificate is of {proven}, the proxy claims to be {claimed}"
        name = peer_name(proxy)
        if peer.proxy != name:
            certified = f"proxy {peer.proxy}" if peer.proxy else "no proxy by name"
            return f"the certificate of {proven} is for {certified}, not for {name}"
        return ""

    return authenticate


class AdsServer(Generic[Connection]):
    """Delta and state-of-the-world ADS. Responses go out as ready bytes."""

    def __init__(
        self,
        directory: ProxyDirectory[Connection],
        authenticate: Authenticate,
        registration: Registration | None = None,
        trust: TrustBundles | None = None,
    ) -> None:
        self._admission = Admission(directory, authenticate, registration, trust)

    def methods(self) -> Mapping[str, Method]:
        return {
            f"/{SERVICE}/DeltaAggregatedResources": Method(self._delta, LONGEST_REQUEST),
            f"/{SERVICE}/StreamAggregatedResources": Method(self._sotw, LONGEST_REQUEST),
        }

    def _delta(self, call: Call) -> CallHandler:
        return AdsCall(self._admission, call, DeltaDiscoveryRequest.FromString, DeltaStream())

    def _sotw(self, call: Call) -> CallHandler:
        return AdsCall(self._admission, call, DiscoveryRequest.FromString, SotwStream())
