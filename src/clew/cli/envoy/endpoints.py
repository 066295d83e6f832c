"""Endpoints, as ``istioctl proxy-config endpoint`` prints them.

Source: Envoy's ``/clusters?format=json``, which also says what outlier detection makes of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clew.cli.envoy.dump import Part, Rows, socket_address, split_cluster

HEADER = ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which are asked for; "" and 0: all. ``port``: the endpoint's, ``name``: the cluster's."""

    fqdn: str = ""
    port: int = 0
    direction: str = ""
    name: str = ""
    status: str = ""

    def has(self, cluster: str, host: Part) -> bool:
        parts = split_cluster(cluster)
        direction, fqdn = (parts[0], parts[3]) if parts is not None else ("", cluster)
        return (
            self.name in ("", cluster)
            and self.fqdn in ("", fqdn)
            and self.direction in ("", direction)
            and self.port in (0, socket_address(host.get("address", {}))[1])
            and self.status.upper() in ("", _status(host))
        )


def all_of(page: Part, wanted: Wanted) -> list[dict[str, Any]]:
    """The clusters of the page with only the hosts that are asked for."""
    found = []
    for each in page.get("cluster_statuses", ()):
        hosts = [h for h in each.get("host_statuses", ()) if wanted.has(str(each["name"]), h)]
        if hosts:
            found.append({**each, "host_statuses": hosts})
    return found


def rows(clusters: Iterable[Part]) -> Rows:
    return [HEADER, *sorted(row for each in clusters for row in _rows(each))]


def _rows(cluster: Part) -> Iterator[tuple[str, ...]]:
    for host in cluster["host_statuses"]:
        outlier = host.get("health_status", {}).get("failed_outlier_check")
        where = _address(host.get("address", {}))
        yield where, _status(host), "FAILED" if outlier else "OK", str(cluster["name"])


def _address(address: Part) -> str:
    if "envoy_internal_address" in address:
        return f"envoy://{address['envoy_internal_address'].get('server_listener_name', '')}"
    host, port = socket_address(address)
    return f"{host}:{port}" if port else f"unix://{host}"


def _status(host: Part) -> str:
    return str(host.get("health_status", {}).get("eds_health_status", "HEALTHY"))
