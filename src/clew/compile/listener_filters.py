"""Listener filters of the outbound side: what is found out about a connection before routing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import (
    FilterChainMatch,
    ListenerFilter,
)
from clew._pb.envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import (
    HttpInspector,
)
from clew._pb.envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import (
    TlsInspector,
)
from clew.compile.typed_config import typed_config

TLS_INSPECTOR = ListenerFilter(
    name="envoy.filters.listener.tls_inspector", typed_config=typed_config(TlsInspector())
)
HTTP_INSPECTOR = ListenerFilter(
    name="envoy.filters.listener.http_inspector", typed_config=typed_config(HttpInspector())
)


def inspectors(matches: Iterable[FilterChainMatch]) -> Iterator[ListenerFilter]:
    """The inspectors that these matches need. Each waits for the client to speak, so no others."""
    needed = list(matches)
    detects = any(match.application_protocols for match in needed)
    if detects or any(match.server_names or match.transport_protocol for match in needed):
        yield TLS_INSPECTOR
    if detects:
        yield HTTP_INSPECTOR
