"""What the agent of a replica is told: AgentSpec from a workload and the mesh it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from clew.agent.spec import AgentSpec, AppSpec, Capture
from clew.api.location import API_SOCKET, CA_SOCKET, XDS_SOCKET
from clew.local.addresses import GATEWAY, numbered
from clew.local.network import MeshNetwork
from clew.local.programs import service_account
from clew.local.state import agent_directory
from clew.local.workloads import Workload, has_proxy, is_gateway, pod_labels
from clew.model import names
from clew.model.interception import read_interception
from clew.snapshot.gateway_api.deployment import MANAGED

INGRESS_NAMESPACE = "istio-system"
INGRESS = "istio-ingressgateway"
# TCP services that a program calls by a port of its own, where traffic is not captured.
UPSTREAMS = "clew.dev/upstreams"
# One machine's requests are few enough to keep the spans of all of them.
_TRACE_SAMPLING = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshPlace:
    """Where a mesh runs on this machine. ``network`` is None without capture."""

    mesh: str
    directory: Path
    subnet: IPv4Network
    network: MeshNetwork | None
    environ: Mapping[str, str]
    working_dir: str

    @property
    def capture(self) -> Capture:
        return Capture.ENV if self.network is None else Capture.NETNS


def is_ingress(workload: Workload) -> bool:
    """Tell whether this is the gateway that `clew up` publishes on the machine's ports."""
    return (workload.namespace, workload.name) == (INGRESS_NAMESPACE, INGRESS)


def runs_outside(workload: Workload, place: MeshPlace) -> bool:
    """Tell whether the replica runs in the machine's own network: no capture, or a gateway that
    clew makes, if root may put it there.
    """
    if place.network is None:
        return True
    ours = is_ingress(workload) or MANAGED in workload.template.metadata.labels
    return ours and not place.network.user_namespace


def fixed_address(workload: Workload, place: MeshPlace) -> str:
    """The address that is reserved for the workload, "" if it takes any."""
    return numbered(place.subnet, GATEWAY) if is_ingress(workload) else ""


def listening_ports(
    ports: Iterable[int], place: MeshPlace, take_port: Callable[[], int]
) -> dict[int, int]:
    """Return where a program must listen instead of at its ``ports``: nowhere else if captured.

    Without capture its proxy takes the port at the workload's address, and a program that listens
    on all addresses would be in the way.
    """
    return {} if place.network is not None else {port: take_port() for port in ports}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """One replica's name and address, and whether it is in the machine's own network."""

    name: str
    address: str
    outside: bool


def agent_spec(
    workload: Workload,
    where: Where,
    place: MeshPlace,
    *,
    app: AppSpec | None,
    listening: Mapping[int, int],
    trust_domain: str,
    take_port: Callable[[], int],
) -> AgentSpec:
    """Return the replica's spec. ``take_port`` is asked for each port that must be chosen.

    ``listening``: where the program listens, if that is not at its own ports.
    """
    labels = pod_labels(workload)
    gateway = is_gateway(workload.template)
    uncaptured = place.network is None and not gateway
    return AgentSpec(
        mesh=place.mesh,
        type="router" if gateway else "sidecar",
        name=where.name,
        namespace=workload.namespace,
        workload=workload.name,
        ip=where.address,
        labels=labels,
        service_account=service_account(workload),
        trust_domain=trust_domain,
        locality=labels.get("istio-locality", "").replace(".", "/"),
        network=labels.get("topology.istio.io/network", ""),
        capture=Capture.NONE if gateway else place.capture,
        interception=read_interception(workload.template.metadata.annotations),
        # Without capture the proxy is what gives the program an address.
        proxy=gateway or place.network is None or has_proxy(workload.template),
        xds=f"unix:{place.directory / XDS_SOCKET}",
        ca=f"unix:{place.directory / CA_SOCKET}",
        api=str(place.directory / API_SOCKET),
        directory=str(agent_directory(place.directory, workload.namespace, where.name)),
        readiness_port=take_port() if where.outside else 15021,
        prometheus_port=take_port() if where.outside else 15090,
        status_port=take_port() if where.outside else names.STATUS_PORT,
        dns_port=0 if where.outside else 15053,
        dns_upstreams=() if place.network is None else (place.network.bridge,),
        explain=True,
        http_proxy_port=take_port() if uncaptured else 0,
        app_ports={str(port): number for port, number in listening.items()},
        local_ports=_local_ports(workload, take_port) if uncaptured else {},
        bind_address="127.0.0.1" if gateway and where.outside else "",
        trace_sampling=_TRACE_SAMPLING,
        app=app,
    )


def _local_ports(workload: Workload, take_port: Callable[[], int]) -> dict[str, str]:
    text = workload.template.metadata.annotations.get(UPSTREAMS, "")
    upstreams = (word.strip() for word in text.split(","))
    return {upstream: f"127.0.0.1:{take_port()}" for upstream in upstreams if upstream}


def upstream_variables(local_ports: Mapping[str, str]) -> dict[str, str]:
    """``{"db:27017": "127.0.0.1:21000"}`` → ``{"UPSTREAM_DB_27017": "127.0.0.1:21000"}``"""
    return {f"UPSTREAM_{_variable(upstream)}": local for upstream, local in local_ports.items()}


def _variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


def with_upstreams(spec: AgentSpec) -> AgentSpec:
    """Tell the program where its declared upstreams are, if it has no capture."""
    if spec.app is None or not spec.local_ports:
        return spec
    env = upstream_variables(spec.local_ports) | spec.app.env
    return msgspec.structs.replace(spec, app=msgspec.structs.replace(spec.app, env=env))
