"""A real Envoy with the agent's bootstrap, on ADS over mTLS on a Unix socket, in this process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import xxhash
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.http.router.v3 import router_pb2
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from clew.agent.bootstrap import bootstrap
from clew.agent.bootstrap_patches import patched
from clew.agent.certificates import certificate_secret, root_secret
from clew.agent.directory import ADMIN_SOCKET
from clew.agent.envoy_process import envoy_binary
from clew.agent.spec import AgentSpec, Capture
from clew.ca.keys import load_or_create
from clew.model.xds import EnvoyResource
from clew.server.ads import AdsServer, require_identity
from clew.server.http2.server import GrpcServer
from clew.server.listening import listen
from clew.server.mtls import ServingCertificate
from tests.server.directory import Directory
from tests.server.workload import workload

_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_ADS = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
# ParseDict finds the messages inside an Any once they are imported.
assert router_pb2
assert http_connection_manager_pb2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resource(message: Message, name: str, uses: frozenset[str] = frozenset()) -> EnvoyResource:
    body = message.SerializeToString(deterministic=True)
    return EnvoyResource(name, xxhash.xxh3_64_hexdigest(body), body, uses)


def cluster(name: str, connect_timeout: str = "1s", **fields: Any) -> EnvoyResource:
    eds = {"type": "EDS", "eds_cluster_config": {"eds_config": _ADS}}
    message = {"name": name, "connect_timeout": connect_timeout, **(fields or eds)}
    return resource(ParseDict(message, Cluster()), name)


def endpoints(name: str, port: int) -> EnvoyResource:
    endpoint = {"endpoint": {"address": address(port)}}
    message = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return resource(ParseDict(message, ClusterLoadAssignment()), name)


def listener(port: int, route: str) -> EnvoyResource:
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "rds": {"route_config_name": route, "config_source": _ADS},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}}
        ],
    }
    message = {
        "name": f"listener-{port}",
        "address": address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return resource(ParseDict(message, Listener()), f"listener-{port}")


def routes(name: str, domains: tuple[str, ...] = ("*",), **weights: int) -> EnvoyResource:
    clusters = [{"name": cluster, "weight": weight} for cluster, weight in weights.items()]
    route = {
        "match": {"prefix": "/"},
        "route": {"weighted_clusters": {"clusters": clusters}},
    }
    hosts = [{"name": str(i), "domains": [d], "routes": [route]} for i, d in enumerate(domains)]
    message = {"name": name, "virtual_hosts": hosts}
    return resource(ParseDict(message, RouteConfiguration()), name, frozenset(weights))


def by_name(*resources: EnvoyResource) -> Mapping[str, EnvoyResource]:
    return {each.name: each for each in resources}


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@dataclass
class Rig:
    """One Envoy and its control plane, which can be stopped and started again."""

    folder: Path
    directory: Directory = field(default_factory=Directory)
    server: GrpcServer | None = None

    async def start_control_plane(self) -> None:
        authority = load_or_create(self.folder / "ca", "cluster.local", now=datetime.now(UTC))
        ads = AdsServer(self.directory, require_identity(lambda: ("cluster.local",)))
        certificate = ServingCertificate(lambda: authority, "cluster.local")
        listener = listen(f"unix:{self.folder}/xds.sock")
        self.server = GrpcServer(listener, ads.methods(), certificate.mutual)

    async def stop_control_plane(self) -> None:
        assert self.server is not None
        await self.server.stop()
        await self.directory.until(lambda: not self.directory.connected)

    async def stat(self, name: str) -> int:
        """One counter or gauge of Envoy."""
        transport = httpx2.AsyncHTTPTransport(uds=str(self.folder / ADMIN_SOCKET))
        async with httpx2.AsyncClient(transport=transport, base_url="http://envoy") as client:
            text = (await client.get("/stats", params={"filter": f"^{name}$"})).text
        return int(text.rpartition(": ")[2])


@asynccontextmanager
async def envoy_rig(
    folder: Path, published: Any, api_type: str = "DELTA_GRPC"
) -> AsyncIterator[Rig]:
    """An Envoy of namespace default and service account default that gets ``published``."""
    rig = Rig(folder)
    rig.directory.publish(published)
    await rig.start_control_plane()
    try:
        async with running_envoy(folder, api_type):
            yield rig
    finally:
        assert rig.server is not None
        await rig.server.stop()


@asynccontextmanager
async def running_envoy(
    folder: Path, api_type: str = "DELTA_GRPC", **spec: Any
) -> AsyncIterator[None]:
    """An Envoy in ``folder``, on ADS at the ``xds.sock`` there. ``spec``: of its agent."""
    _write_envoy_files(folder, api_type, spec)
    with (folder / "envoy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(envoy_binary()), "-c", "envoy.json", "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "warning"),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def _write_envoy_files(folder: Path, api_type: str, more: Mapping[str, Any]) -> None:
    fields: dict[str, Any] = {
        "mesh": "test",
        "type": "sidecar",
        "name": "a-0",
        "namespace": "default",
        "workload": "a",
        "ip": "127.0.0.1",
        "capture": Capture.NONE,
        "xds": f"unix:{folder}/xds.sock",
        "directory": str(folder),
        "readiness_port": 0,
        "prometheus_port": 0,
        "status_port": 0,
    }
    spec = AgentSpec(**fields | dict(more))
    document = patched(bootstrap(spec), spec.bootstrap_patches)
    document["dynamic_resources"]["ads_config"]["api_type"] = api_type
    document["stats_config"] = {}
    (folder / "envoy.json").write_text(json.dumps(document))
    authority = load_or_create(folder / "ca", "cluster.local", now=datetime.now(UTC))
    own = workload(authority, spec.namespace, "default", proxy=spec.name)
    (folder / "sds").mkdir(exist_ok=True)
    (folder / "sds" / "default.json").write_bytes(certificate_secret(own.key, own.chain))
    (folder / "sds" / "rootca.json").write_bytes(root_secret(own.root))
