"""Service of Kubernetes: a stable name and ports in front of pods."""

from __future__ import annotations

import msgspec

from clew.model.base import OpenModel, Resource


class CoreServicePort(OpenModel, frozen=True, kw_only=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""
    target_port: int | str | None = None
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
