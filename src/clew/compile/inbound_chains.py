"""Filter chains of the server side: which connections a port takes, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import FilterChainMatch
from clew.model.service import Protocol
from clew.snapshot.scope import MutualTls

# What mesh clients offer by ALPN. Our servers never select these names, they only match them.
_MTLS_HTTP = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
_MTLS_TCP = ("istio-peer-exchange", "istio")
MESH_PROTOCOLS = ("istio", "istio-peer-exchange", *_MTLS_HTTP)
# What the HTTP inspector finds in plaintext.
_PLAIN_HTTP = ("http/1.1", "h2c")

_TLS = "tls"
_RAW = "raw_buffer"


class Handling(Enum):
    """What becomes of a connection that a chain takes."""

    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Intake:
    """One filter chain of a port. ``mutual_tls``: it ends mesh mTLS."""

    handling: Handling
    transport: str
    application_protocols: tuple[str, ...] = ()
    mutual_tls: bool = False

    def match(self, port: int | None) -> FilterChainMatch:
        """Envoy's match; without ``port`` it holds for whatever port the listener gets."""
        match = FilterChainMatch(
            transport_protocol=self.transport, application_protocols=self.application_protocols
        )
        if port is not None:
            match.destination_port.value = port
        return match


_HTTP, _TCP = Handling.HTTP, Handling.TCP

# STRICT has no chain that takes plaintext; an unterminated TLS chain exists only where plaintext
# is welcome too. Source: istio ``filterchain_options.go``.
_STRICT_HTTP = (Intake(_HTTP, _TLS, mutual_tls=True),)
_STRICT_TCP = (Intake(_TCP, _TLS, mutual_tls=True),)
_STRICT_AUTO = (Intake(_HTTP, _TLS, _MTLS_HTTP, mutual_tls=True), *_STRICT_TCP)
_PERMISSIVE_HTTP = (Intake(_HTTP, _TLS, MESH_PROTOCOLS, mutual_tls=True), Intake(_HTTP, _RAW))
_PERMISSIVE_TCP = (
    Intake(_TCP, _TLS, MESH_PROTOCOLS, mutual_tls=True),
    Intake(_TCP, _TLS),
    Intake(_TCP, _RAW),
)
_PERMISSIVE_AUTO = (
    Intake(_HTTP, _TLS, _MTLS_HTTP, mutual_tls=True),
    Intake(_HTTP, _RAW, _PLAIN_HTTP),
    Intake(_TCP, _TLS, _MTLS_TCP, mutual_tls=True),
    Intake(_TCP, _RAW),
    Intake(_TCP, _TLS),
)
_DISABLE_HTTP = (Intake(_HTTP, _RAW),)
# Not inspected for TLS, so TLS that the application ends itself is "raw" too.
_DISABLE_TCP = (Intake(_TCP, _RAW),)
_DISABLE_AUTO = (Intake(_HTTP, _RAW, _PLAIN_HTTP), Intake(_TCP, _RAW))


def intakes(mode: MutualTls, protocol: Protocol) -> tuple[Intake, ...]:
    """The chains of a port of this ``protocol`` under this mTLS mode."""
    match mode:
        case MutualTls.STRICT:
            return _by_protocol(protocol, _STRICT_HTTP, _STRICT_TCP, _STRICT_AUTO)
        case MutualTls.PERMISSIVE:
            return _by_protocol(protocol, _PERMISSIVE_HTTP, _PERMISSIVE_TCP, _PERMISSIVE_AUTO)
        case MutualTls.DISABLE:
            return _by_protocol(protocol, _DISABLE_HTTP, _DISABLE_TCP, _DISABLE_AUTO)


def _by_protocol(
    protocol: Protocol,
    http: tuple[Intake, ...],
    tcp: tuple[Intake, ...],
    auto: tuple[Intake, ...],
) -> tuple[Intake, ...]:
    if protocol.is_http:
        return http
    return auto if protocol is Protocol.AUTO else tcp


def needs_tls_inspector(mode: MutualTls) -> bool:
    """A server that speaks first must not wait for a ClientHello that never comes."""
    return mode is not MutualTls.DISABLE


def needs_http_inspector(protocol: Protocol) -> bool:
    """Same for a declared TCP port: its client may never send a first byte."""
    return protocol is Protocol.AUTO or protocol.is_http
