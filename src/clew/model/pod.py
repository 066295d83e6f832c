"""Pod: one replica of a workload, and its containers."""

from __future__ import annotations

from typing import Any

import msgspec

from clew.model.base import ObjectMeta, OpenModel, PortNumber, Resource


class ExecAction(OpenModel, frozen=True, kw_only=True):
    command: tuple[str, ...] = ()


class HTTPHeader(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    value: str = ""


class HTTPGetAction(OpenModel, frozen=True, kw_only=True):
    port: int | str
    path: str = ""
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(OpenModel, frozen=True, kw_only=True):
    port: int | str
    host: str = ""


class GRPCAction(OpenModel, frozen=True, kw_only=True):
    port: int
    service: str = ""


class Probe(OpenModel, frozen=True, kw_only=True):
    """Exactly one of the four actions; durations are whole seconds."""

    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    exec: ExecAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class ContainerPort(OpenModel, frozen=True, kw_only=True):
    container_port: PortNumber
    name: str = ""
    protocol: str = "TCP"
    host_port: int | None = None


class KeyReference(OpenModel, frozen=True, kw_only=True):
    """A key of a ConfigMap or Secret."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class FieldReference(OpenModel, frozen=True, kw_only=True):
    field_path: str = ""


class EnvironmentSource(OpenModel, frozen=True, kw_only=True):
    config_map_key_ref: KeyReference | None = None
    secret_key_ref: KeyReference | None = None
    field_ref: FieldReference | None = None


class EnvironmentVariable(OpenModel, frozen=True, kw_only=True):
    name: str
    value: str = ""
    value_from: EnvironmentSource | None = None


class NamedReference(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    optional: bool | None = None


class EnvironmentFrom(OpenModel, frozen=True, kw_only=True):
    prefix: str = ""
    config_map_ref: NamedReference | None = None
    secret_ref: NamedReference | None = None


class VolumeMount(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    mount_path: str = ""
    sub_path: str = ""
    read_only: bool | None = None


class Container(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvironmentVariable, ...] = ()
    env_from: tuple[EnvironmentFrom, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    restart_policy: str = ""


class PodSpec(OpenModel, frozen=True, kw_only=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    service_account_name: str = ""
    node_name: str = ""
    host_network: bool | None = None
    hostname: str = ""
    subdomain: str = ""
    restart_policy: str = ""
    termination_grace_period_seconds: int | None = None


class PodCondition(OpenModel, frozen=True, kw_only=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class ContainerStatus(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    started: bool | None = None
    state: dict[str, Any] | None = None
    last_state: dict[str, Any] | None = None
    image: str = ""


class PodIP(OpenModel, frozen=True, kw_only=True):
    ip: str = ""


class PodStatus(OpenModel, frozen=True, kw_only=True):
    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    pod_ips: tuple[PodIP, ...] = msgspec.field(name="podIPs", default=())
    host_ip: str = msgspec.field(name="hostIP", default="")
    reason: str = ""
    message: str = ""
    start_time: str = ""
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class PodTemplateSpec(OpenModel, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class Pod(Resource, frozen=True, kw_only=True):
    spec: PodSpec = PodSpec()
    status: PodStatus | None = None
