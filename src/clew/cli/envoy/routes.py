"""Routes, as ``istioctl proxy-config route`` prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clew.cli.envoy.dump import Part, Rows, named_rule
from clew.cli.envoy.listeners import path_text

HEADER = ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE")
_MOST_DOMAINS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which are asked for; "" and 0: all. ``fqdn``: only virtual hosts of this domain."""

    name: str = ""
    port: int = 0
    fqdn: str = ""

    def has(self, routes: Part) -> bool:
        name = str(routes.get("name", ""))
        return self.name in ("", name) and (not self.port or _port(name) == self.port)


def _port(name: str) -> int:
    """Of ``9080``, ``http.8080``, ``reviews.default.svc.cluster.local:9080``; else 0."""
    last = name.replace(":", ".").rpartition(".")[2]
    return int(last) if last.isdecimal() else 0


def all_of(routes: Iterable[Part], wanted: Wanted) -> Iterator[Part]:
    for each in routes:
        if not wanted.has(each):
            continue
        if not wanted.fqdn:
            yield each
            continue
        hosts = [h for h in each.get("virtual_hosts", ()) if wanted.fqdn in h.get("domains", ())]
        if hosts:
            yield {**each, "virtual_hosts": hosts}


def rows(routes: Iterable[Part]) -> Rows:
    return [HEADER, *(row for each in routes for row in _rows(each))]


def _rows(routes: Part) -> Iterator[tuple[str, ...]]:
    name = str(routes.get("name", "")) or "-"
    for host in routes.get("virtual_hosts", ()):
        place = (name, str(host.get("name", "")), _domains(host.get("domains", ())))
        entries = host.get("routes", ())
        for route in entries:
            yield (*place, path_text(route.get("match", {})), named_rule(route))
        if not entries:
            yield (*place, "/*", "404")


def _domains(domains: Iterable[str]) -> str:
    """The first ones without a port, and how many more there are."""
    all_of_them = list(domains)
    found = [d for d in all_of_them if ":" not in d and not d.endswith(".")] or all_of_them
    more = len(found) - _MOST_DOMAINS
    return ", ".join(found[:_MOST_DOMAINS]) + (f" + {more} more..." if more > 0 else "")
