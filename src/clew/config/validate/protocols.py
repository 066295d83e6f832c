"""The protocols that a port may declare.

Source: istio ``protocol.Parse``, which takes either case.
"""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding

_HTTP = frozenset({"HTTP", "HTTP_PROXY", "HTTP2", "GRPC", "GRPC-WEB", "HBONE"})
_TLS = frozenset({"HTTPS", "TLS"})
_TCP = _TLS | {"TCP", "MONGO", "REDIS", "MYSQL"}
_KNOWN = _HTTP | _TCP | {"UDP"}


def check_protocol(protocol: str, path: FieldPath, *, required: bool = False) -> Iterator[Finding]:
    """Yield that a protocol is unknown; none at all is found out from the traffic."""
    if (protocol or required) and protocol.upper() not in _KNOWN:
        yield Finding(
            path, f'"{protocol}" is not a protocol', f"one of {', '.join(sorted(_KNOWN))}"
        )


def is_http(protocol: str) -> bool:
    return protocol.upper() in _HTTP


def is_tls(protocol: str) -> bool:
    return protocol.upper() in _TLS


def is_tcp(protocol: str) -> bool:
    """TLS is TCP too, here."""
    return protocol.upper() in _TCP
