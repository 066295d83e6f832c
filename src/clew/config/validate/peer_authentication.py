"""Istio's admission rules for PeerAuthentication."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import Finding
from clew.config.validate.selectors import check_selector
from clew.model.peer_authentication import PeerAuthentication


def validate_peer_authentication(resource: PeerAuthentication) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_selector(spec.selector)
    if spec.port_level_mtls and not (spec.selector and spec.selector.match_labels):
        problem = "modes of single ports need a selector"
        yield Finding(("spec", "portLevelMtls"), problem, "ports are those of the workloads")
    for port in spec.port_level_mtls:
        if not (port.isdecimal() and 1 <= int(port) <= 65535):
            yield Finding(("spec", "portLevelMtls", port), f'"{port}" is not a port')
