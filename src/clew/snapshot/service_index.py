"""The services of the mesh, found by host, namespace and what they select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clew.model.service import Service, ServiceKey
from clew.snapshot.export import PUBLIC, visible
from clew.snapshot.labels import selects

_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Services:
    """``ordered``: oldest first, several per hostname possible.

    ``contested`` are the hostnames of which not everyone sees the same service.
    ``selecting``: by namespace and one label of their selector. ``by_node``: for some of them it
    matters on which node a client is.
    """

    ordered: tuple[Service, ...] = ()
    by_key: Mapping[ServiceKey, Service] = field(default_factory=dict)
    by_host: Mapping[str, tuple[Service, ...]] = field(default_factory=dict)
    by_namespace: Mapping[str, tuple[Service, ...]] = field(default_factory=dict)
    contested: frozenset[str] = frozenset()
    selecting: Mapping[tuple[str, _Pair], tuple[Service, ...]] = field(default_factory=dict)
    by_node: bool = False

    def seen_by(self, namespace: str) -> tuple[Service, ...]:
        """Return the services that proxies of a namespace see, one per hostname."""
        if not self.contested:
            return self.ordered
        return tuple(s for s in self.ordered if self.seen(s, namespace))

    def seen(self, service: Service, namespace: str) -> bool:
        """Whether it is this service that proxies of a namespace see at its hostname."""
        if service.hostname not in self.contested:
            return True
        return self.at(service.hostname, namespace) is service

    def at(self, host: str, namespace: str) -> Service | None:
        """Return what a namespace sees at a hostname: Kubernetes' own service, then one of the
        namespace's, then the oldest.
        """
        found = (s for s in self.by_host.get(host, ()) if visible(s.export_to, namespace))
        return best_by_host(found, namespace).get(host)

    def that_select(self, namespace: str, labels: Mapping[str, str]) -> Iterator[Service]:
        """Yield the services of a namespace whose selector has only these labels."""
        for pair in labels.items():
            for service in self.selecting.get((namespace, pair), ()):
                if selects(dict(service.selector or ()), labels):
                    yield service


def best_by_host(services: Iterable[Service], namespace: str) -> dict[str, Service]:
    """Return of the services with one hostname, oldest first, the one that a namespace sees."""
    best: dict[str, Service] = {}
    for service in services:
        rival = best.get(service.hostname)
        if rival is None or _rank(service, namespace) > _rank(rival, namespace):
            best[service.hostname] = service
    return best


def _rank(service: Service, namespace: str) -> tuple[bool, bool]:
    return service.kubernetes, service.namespace == namespace


def index_services(services: Iterable[Service]) -> Services:
    """Return the index of services that come in order of age."""
    ordered = tuple(services)
    by_host: dict[str, list[Service]] = {}
    by_namespace: dict[str, list[Service]] = {}
    selecting: dict[tuple[str, _Pair], list[Service]] = {}
    contested = set()
    for service in ordered:
        same = by_host.setdefault(service.hostname, [])
        same.append(service)
        if len(same) > 1 or PUBLIC not in service.export_to:
            contested.add(service.hostname)
        by_namespace.setdefault(service.namespace, []).append(service)
        if service.selector:
            selecting.setdefault((service.namespace, service.selector[0]), []).append(service)
    return Services(
        ordered=ordered,
        by_key={service.key: service for service in ordered},
        by_host={host: tuple(found) for host, found in by_host.items()},
        by_namespace={namespace: tuple(found) for namespace, found in by_namespace.items()},
        contested=frozenset(contested),
        selecting={key: tuple(found) for key, found in selecting.items()},
        by_node=any(service.by_node for service in ordered),
    )
