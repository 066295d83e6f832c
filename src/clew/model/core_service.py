"""Service of Kubernetes: a stable name and ports in front of pods."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clew.model.base import OpenModel, PortNumber, Resource

# Zero is that of the Service.
TargetPort = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class CoreServicePort(OpenModel, frozen=True, kw_only=True):
    port: PortNumber
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""
    target_port: TargetPort | str | None = None
    node_port: int | None = None


class CoreServiceSpec(OpenModel, frozen=True, kw_only=True):
    ports: tuple[CoreServicePort, ...] = ()
    selector: dict[str, str] = {}
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    cluster_ips: tuple[str, ...] = msgspec.field(name="clusterIPs", default=())
    external_ips: tuple[str, ...] = msgspec.field(name="externalIPs", default=())
    external_name: str = ""
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: str = ""
    external_traffic_policy: str = ""
    traffic_distribution: str = ""
    session_affinity: str = ""
    load_balancer_ip: str = msgspec.field(name="loadBalancerIP", default="")


class CoreService(Resource, frozen=True, kw_only=True):
    """Kind ``Service``; ``clew.model.service.Service`` is the registry's."""

    spec: CoreServiceSpec = CoreServiceSpec()
