"""The application protocol of a port, as Kubernetes and Istio let people declare it."""

from __future__ import annotations

from clew.model.service import Protocol

# Ports whose servers speak first, or never HTTP: sniffing would delay or break them.
_NEVER_SNIFFED = frozenset({25, 53, 3306, 27017})

_BY_NAME = {
    "tcp": Protocol.TCP,
    "udp": Protocol.UDP,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC_WEB,
    "http": Protocol.HTTP,
    "http_proxy": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "https": Protocol.HTTPS,
    "tls": Protocol.TLS,
    "mongo": Protocol.MONGO,
    "redis": Protocol.REDIS,
    "mysql": Protocol.MYSQL,
}
_BY_APP_PROTOCOL = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}


def parse_protocol(text: str) -> Protocol:
    """The protocol of a ServiceEntry, Gateway or Sidecar port, in any case; unknown is AUTO."""
    return _BY_NAME.get(text.lower(), Protocol.AUTO)


def select_protocol(*, app_protocol: str, name: str, transport: str, number: int) -> Protocol:
    """The protocol of a Kubernetes Service port.

    UDP stays UDP; then ``appProtocol`` decides, then the name's prefix (``http-web``), then a
    few well-known port numbers; the rest is detected per connection.
    Source: istio ``ConvertProtocol``.
    """
    if transport == "UDP":
        return Protocol.UDP
    if app_protocol and (found := _app_protocol(app_protocol)) is not Protocol.AUTO:
        return found
    named = _name_prefix(name)
    if named is Protocol.AUTO and number in _NEVER_SNIFFED:
        return Protocol.TCP
    return named


def _app_protocol(text: str) -> Protocol:
    lower = text.lower()
    return _BY_APP_PROTOCOL.get(lower) or _BY_NAME.get(lower, Protocol.AUTO)


def _name_prefix(name: str) -> Protocol:
    lower = name.lower()
    if lower == "grpc-web" or lower.startswith("grpc-web-"):
        return Protocol.GRPC_WEB
    return _BY_NAME.get(lower.partition("-")[0], Protocol.AUTO)
