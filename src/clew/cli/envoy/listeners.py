"""Listeners, as ``istioctl proxy-config listener`` prints them: a line for each filter chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clew.cli.envoy.dump import Part, Rows, socket_address

HEADER = ("ADDRESSES", "PORT", "MATCH", "DESTINATION")
_HCM, _TCP = "HttpConnectionManager", "TcpProxy"
# What Istio's clients offer, in words. Source: istioctl's listener writer.
_WELL_KNOWN = {
    frozenset(("istio-http/1.0", "istio-http/1.1", "istio-h2")): "HTTP TLS",
    frozenset(("istio-http/1.1", "istio-h2", "istio", "istio-http/1.0")): "HTTP TLS",
    frozenset(("istio",)): "TCP TLS",
    frozenset(("istio-peer-exchange", "istio")): "TCP TLS",
    frozenset(("http/1.1", "h2c")): "HTTP",
    frozenset(("http/1.0", "http/1.1", "h2c")): "HTTP",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which are asked for; "" and 0: all."""

    port: int = 0
    direction: str = ""
    name: str = ""
    address: str = ""

    def has(self, listener: Part) -> bool:
        address, port = socket_address(listener.get("address", {}))
        return (
            self.name in ("", listener.get("name", ""))
            and self.port in (0, port)
            and self.address in ("", address)
            and self.direction in ("", _direction(listener))
        )


def _direction(listener: Part) -> str:
    return str(listener.get("traffic_direction", "")).lower()


def all_of(listeners: Iterable[Part], wanted: Wanted) -> Iterator[Part]:
    return (listener for listener in listeners if wanted.has(listener))


def rows(listeners: Iterable[Part]) -> Rows:
    by_port = sorted(listeners, key=lambda each: socket_address(each.get("address", {}))[::-1])
    return [HEADER, *(row for listener in by_port for row in _rows(listener))]


def _rows(listener: Part) -> Iterator[tuple[str, ...]]:
    address, port = socket_address(listener.get("address", {}))
    more = (
        socket_address(a.get("address", {}))[0] for a in listener.get("additional_addresses", ())
    )
    place = (",".join((address, *more)), str(port) if port else "-")
    chains = list(listener.get("filter_chains", ()))
    if "default_filter_chain" in listener:
        chains.append(listener["default_filter_chain"])
    for chain in chains:
        yield (*place, match_text(chain.get("filter_chain_match", {})), _destination(chain))
    if not chains:
        udp = (each.get("name", "") for each in listener.get("listener_filters", ()))
        yield (*place, "ALL", ", ".join(udp) or "Non-HTTP/Non-TCP")


def match_text(match: Part) -> str:
    found = []
    if names := match.get("server_names"):
        found.append(f"SNI: {','.join(names)}")
    if transport := match.get("transport_protocol"):
        found.append(f"Trans: {transport}")
    if protocols := match.get("application_protocols"):
        known = _WELL_KNOWN.get(frozenset(protocols))
        found.append(f"App: {known or ','.join(protocols)}")
    ranges = [
        f"{r['address_prefix']}/{r.get('prefix_len', 0)}" for r in match.get("prefix_ranges", ())
    ]
    port = match.get("destination_port")
    if ranges:
        found.append("Addr: " + ",".join(ranges) + (f":{port}" if port else ""))
    elif port:
        found.append(f"Addr: *:{port}")
    return "; ".join(found) or "ALL"


def _destination(chain: Part) -> str:
    for each in chain.get("filters", ()):
        config = each.get("typed_config", {})
        kind = str(config.get("@type", ""))
        if kind.endswith(_HCM):
            return _http(config)
        if kind.endswith(_TCP):
            return _tcp(config)
    return "Non-HTTP/Non-TCP"


def _http(manager: Part) -> str:
    if "rds" in manager:
        return f"Route: {manager['rds'].get('route_config_name', '')}"
    hosts = manager.get("route_config", {}).get("virtual_hosts", ())
    clusters = {
        route.get("route", {}).get("cluster", "")
        for host in hosts
        for route in host.get("routes", ())
    }
    if len(clusters) == 1 and all(clusters):
        return f"Cluster: {clusters.pop()}"
    paths = (
        path_text(route.get("match", {})) for host in hosts for route in host.get("routes", ())
    )
    return f"Inline Route: {', '.join(dict.fromkeys(paths))}"


def _tcp(proxy: Part) -> str:
    if "cluster" in proxy:
        return f"Cluster: {proxy['cluster']}"
    weighted = proxy.get("weighted_clusters", {}).get("clusters", ())
    return "Cluster: " + ", ".join(f"{c['name']} ({c.get('weight', 1)})" for c in weighted)


def path_text(match: Part) -> str:
    """``/*``, ``/prefix*``, ``/exact`` or ``regex ^/a``."""
    if "prefix" in match:
        return f"{match['prefix']}*"
    if "path_separated_prefix" in match:
        return f"PathPrefix:{match['path_separated_prefix']}"
    if "path" in match:
        return str(match["path"])
    if "safe_regex" in match:
        return f"regex {match['safe_regex'].get('regex', '')}"
    return "/*"
