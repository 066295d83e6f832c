"""What the local runtime (or a user's file) tells an agent; JSON on disk."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from clew.config.structure import decode_custom
from clew.model.base import OpenModel
from clew.model.interception import Interception
from clew.model.mesh_proxy_config import MeshProxyConfig
from clew.model.metrics import CLUSTER, Peer
from clew.model.pod import Probe


class Capture(StrEnum):
    """How the workload's traffic reaches its proxy."""

    NETNS = "netns"  # own network namespace, nftables redirect; nothing leaks past the proxy
    ENV = "env"  # HTTP_PROXY and an inbound port in front of the app; no privilege needed
    NONE = "none"  # a gateway: there is no application


class AppSpec(OpenModel, frozen=True, kw_only=True):
    """The program beside the proxy. ``env`` is complete: nothing else is inherited."""

    command: tuple[str, ...]
    env: dict[str, str] = {}
    working_dir: str = ""
    ports: dict[str, int] = {}  # container port name (or number as text) -> number
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    grace_seconds: int = 30  # terminationGracePeriodSeconds
    metrics_port: int = 0  # where it has metrics of its own; 0: it has none
    metrics_path: str = "/metrics"
    restart: bool = True  # restart the program when it ends; False: end with its exit code


class AgentSpec(OpenModel, frozen=True, kw_only=True):
    """One proxy, and the workload it stands beside.

    Paths are absolute. ``xds`` is ``unix:/path`` or ``host:port``; ``ca`` likewise, and on other
    hosts is where the first certificate comes from, with a join token. Ports of 0 are
    off. In a network namespace the well-known ports (15001, 15006 …) are free to use; elsewhere
    the runtime chooses free ones.
    """

    mesh: str
    type: str  # sidecar | router
    name: str  # replica, e.g. reviews-v1-0
    namespace: str
    workload: str  # e.g. reviews-v1
    ip: str
    labels: dict[str, str] = {}
    auto_register_group: str = ""  # the WorkloadGroup that it joins; "": none
    service_account: str = "default"
    trust_domain: str = "cluster.local"
    domain: str = "cluster.local"
    locality: str = ""
    network: str = ""
    capture: Capture = Capture.NETNS
    interception: Interception = Interception()  # NETNS capture: which traffic is taken
    proxy: bool = True  # False: the program runs by itself; it has the names of services
    xds: str = ""
    ca: str = ""
    api: str = ""  # unix socket of the admin API, for health reports and names; "": none
    directory: str = ""  # private to this workload: keys, bootstrap, admin socket, logs
    readiness_port: int = 15021
    prometheus_port: int = 15090  # the proxy's metrics
    status_port: int = 15020  # the application's metrics as well
    dns_port: int = 15053
    dns_upstreams: tuple[str, ...] = ()  # resolvers for names outside the mesh
    explain: bool = False  # the proxy's refusals name the policies that they are due to
    http_proxy_port: int = 0  # ENV capture
    app_ports: dict[str, int] = {}  # ENV capture: container port -> port the app listens on
    local_ports: dict[str, str] = {}  # ENV capture: "host:port" -> "127.0.0.1:31000"
    bind_address: str = ""
    # Percent of requests whose spans the control plane gets, unless the mesh says otherwise.
    trace_sampling: float = 0.0
    concurrency: int = 1  # Envoy's worker threads; 0: one for each core
    app: AppSpec | None = None
    settings: MeshProxyConfig = MeshProxyConfig()  # in force: the mesh's, and what is special
    own_settings: dict[str, Any] = {}  # those of the workload's annotation alone
    bootstrap_patches: tuple[dict[str, Any], ...] = ()  # of EnvoyFilters, in order


def own_peer(spec: AgentSpec) -> Peer:
    """Whom the proxy stands for, as metrics know it."""
    return Peer.of(spec.workload, spec.namespace, spec.labels, CLUSTER)


def encode(spec: AgentSpec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(spec, enc_hook=str))


def decode(text: bytes) -> AgentSpec:
    return msgspec.json.decode(text, type=AgentSpec, dec_hook=decode_custom)


def prepare(spec: AgentSpec, working_dir: str) -> AgentSpec:
    """Return ``spec`` checked, with the program's directory settled: by default ``working_dir``.

    Raises:
        msgspec.ValidationError: the parts contradict each other.
    """
    for field in ("xds", "ca", "directory"):
        if not getattr(spec, field):
            raise msgspec.ValidationError(f"Object missing required field `{field}`")
    for field, target in (("xds", spec.xds), ("ca", spec.ca)):
        if not _is_target(target):
            raise msgspec.ValidationError(
                f"Expected `unix:/path` or `host:port` - at `$.{field}`: {target!r}"
            )
    if spec.app is None:
        return spec
    if not spec.app.command:
        raise msgspec.ValidationError("Expected a program and its arguments - at `$.app.command`")
    app = msgspec.structs.replace(spec.app, working_dir=spec.app.working_dir or working_dir)
    return msgspec.structs.replace(spec, app=app)


def _is_target(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return text.startswith("unix:/") or bool(host and port.isdecimal())
