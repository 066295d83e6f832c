"""Clusters, as ``istioctl proxy-config cluster`` prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clew.cli.envoy.dump import Part, Rows, named_rule, split_cluster

HEADER = ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which are asked for; "" and 0: all."""

    fqdn: str = ""
    port: int = 0
    direction: str = ""
    name: str = ""

    def has(self, cluster: Part) -> bool:
        name = str(cluster["name"])
        parts = split_cluster(name)
        if self.name and self.name != name:
            return False
        if parts is None:
            return not (self.port or self.direction) and self.fqdn in ("", name)
        direction, port, _, fqdn = parts
        return (
            self.fqdn in ("", fqdn) and self.port in (0, port) and self.direction in ("", direction)
        )


def rows(clusters: Iterable[Part]) -> Rows:
    found = sorted(map(_row, clusters), key=lambda row: (row[0], row[1].zfill(5), *row[2:]))
    return [HEADER, *found]


def _row(cluster: Part) -> tuple[str, ...]:
    parts = split_cluster(str(cluster["name"]))
    kind = str(cluster.get("type", cluster.get("cluster_type", {}).get("name", "STATIC")))
    if parts is None:
        return str(cluster["name"]), "-", "-", "-", kind, ""
    direction, port, subset, fqdn = parts
    return fqdn, str(port), subset or "-", direction, kind, named_rule(cluster)


def all_of(clusters: Iterable[Part], wanted: Wanted) -> Iterator[Part]:
    return (cluster for cluster in clusters if wanted.has(cluster))
