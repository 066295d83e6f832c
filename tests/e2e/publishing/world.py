"""Small meshes as values: their manifests, and what a request into one of them may get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from clew.model.base import ResourceKey

NETWORKING = "networking.istio.io"
NAMESPACE = "default"
# Not an answer of a backend, whatever Envoy calls it: 404, 502, 503 …
ERROR = "error"
SIDECAR, GATEWAY = "sidecar", "gateway"
GATEWAY_NAME = "web"


class Destination(NamedTuple):
    host: str
    subset: str = ""
    weight: int = 100


class Target(NamedTuple):
    """One kind of request: where it enters the mesh, for whom, and its path."""

    place: str
    host: str
    path: str


Routes = tuple[tuple[str, tuple[Destination, ...]], ...]  # path prefix, destinations


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One configuration.

    ``services``: endpoints by host, each a backend and its version. ``subsets``: of the host's
    DestinationRule, version by name. ``timeouts``: a setting of it that changes the cluster.
    ``routes``: of the host's VirtualService, in force in the mesh and at the gateway.
    """

    services: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    subsets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    timeouts: Mapping[str, int] = field(default_factory=dict)
    routes: Mapping[str, Routes] = field(default_factory=dict)

    def with_service(self, host: str, *endpoints: tuple[str, str]) -> World:
        return replace(self, services={**self.services, host: frozenset(endpoints)})

    def without_service(self, host: str) -> World:
        return replace(self, services={h: e for h, e in self.services.items() if h != host})

    def with_subsets(self, host: str, **versions: str) -> World:
        return replace(self, subsets={**self.subsets, host: versions})

    def without_rule(self, host: str) -> World:
        return replace(
            self,
            subsets={h: s for h, s in self.subsets.items() if h != host},
            timeouts={h: s for h, s in self.timeouts.items() if h != host},
        )

    def with_timeout(self, host: str, seconds: int) -> World:
        subsets = self.subsets if host in self.subsets else {**self.subsets, host: {}}
        return replace(self, subsets=subsets, timeouts={**self.timeouts, host: seconds})

    def with_routes(self, host: str, *routes: tuple[str, tuple[Destination, ...]]) -> World:
        return replace(self, routes={**self.routes, host: routes})

    def outcomes(self, target: Target) -> frozenset[str]:
        """The backends that may answer such a request, and ERROR if it may fail."""
        for prefix, destinations in self.routes.get(target.host, ()):
            if target.path.startswith(prefix):
                found = (self._behind(destination) for destination in destinations)
                return frozenset().union(*found)
        if target.host in self.routes or target.place == GATEWAY:
            return frozenset((ERROR,))
        return self._behind(Destination(target.host))

    def _behind(self, destination: Destination) -> frozenset[str]:
        endpoints = self.services.get(destination.host, frozenset())
        if destination.subset:
            version = self.subsets.get(destination.host, {}).get(destination.subset)
            endpoints = frozenset(e for e in endpoints if e[1] == version)
        return frozenset(backend for backend, _ in endpoints) or frozenset((ERROR,))


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the backends listen, and the port of the gateway."""

    backends: Mapping[str, int]
    gateway: int


def manifests(world: World, ports: Ports) -> Mapping[ResourceKey, Mapping[str, Any]]:
    """The objects of a world by key."""
    found = [*_services(world, ports), *_rules(world), *_routes(world), _gateway(ports)]
    return {_key(manifest): manifest for manifest in found}


def _key(manifest: Mapping[str, Any]) -> ResourceKey:
    return ResourceKey(NETWORKING, manifest["kind"], NAMESPACE, manifest["metadata"]["name"])


def istio(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{NETWORKING}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _name(host: str) -> str:
    return host.replace(".", "-")


def _services(world: World, ports: Ports) -> Iterator[dict[str, Any]]:
    for host, endpoints in world.services.items():
        declared = [
            {
                "address": "127.0.0.1",
                "ports": {"http": ports.backends[backend]},
                "labels": {"version": version},
            }
            for backend, version in sorted(endpoints)
        ]
        spec = {
            "hosts": [host],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "location": "MESH_INTERNAL",
            "endpoints": declared,
        }
        yield istio("ServiceEntry", _name(host), spec)


def _rules(world: World) -> Iterator[dict[str, Any]]:
    for host, subsets in world.subsets.items():
        spec: dict[str, Any] = {
            "host": host,
            "subsets": [{"name": n, "labels": {"version": v}} for n, v in subsets.items()],
        }
        if host in world.timeouts:
            tcp = {"connectTimeout": f"{world.timeouts[host]}s"}
            spec["trafficPolicy"] = {"connectionPool": {"tcp": tcp}}
        yield istio("DestinationRule", _name(host), spec)


def _routes(world: World) -> Iterator[dict[str, Any]]:
    for host, routes in world.routes.items():
        http = [
            {
                "match": [{"uri": {"prefix": prefix}}],
                "retries": {"attempts": 0},
                "route": [_destination(each) for each in destinations],
            }
            for prefix, destinations in routes
        ]
        spec = {"hosts": [host], "gateways": ["mesh", GATEWAY_NAME], "http": http}
        yield istio("VirtualService", _name(host), spec)


def _destination(destination: Destination) -> dict[str, Any]:
    where: dict[str, Any] = {"host": destination.host, "port": {"number": 80}}
    if destination.subset:
        where["subset"] = destination.subset
    return {"destination": where, "weight": destination.weight}


def _gateway(ports: Ports) -> dict[str, Any]:
    server = {
        "port": {"number": ports.gateway, "name": "http", "protocol": "HTTP"},
        "hosts": ["*"],
    }
    return istio("Gateway", GATEWAY_NAME, {"selector": {"istio": "gateway"}, "servers": [server]})
