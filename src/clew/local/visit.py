"""What `clew run` brings into a mesh: a program, as the Pod and the Service that stand for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.local.agents import UPSTREAMS
from clew.local.workloads import RUN_BY, Workload
from clew.model.base import ObjectMeta, ResourceKey
from clew.model.pod import PodSpec, PodTemplateSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is asked for. ``port_name`` begins with its protocol, as Istio wants it.

    ``group``: the WorkloadGroup that the program joins instead of standing for itself.
    """

    command: tuple[str, ...]
    name: str
    group: str = ""
    version: str = ""
    namespace: str = "default"
    port: int = 0
    port_name: str = "http"
    service_account: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    upstreams: tuple[str, ...] = ()
    working_dir: str = "/"

    @property
    def workload(self) -> str:
        return f"{self.name}-{self.version}" if self.version else self.name


def visiting_workload(visit: Visit, *, process: str) -> Workload:
    """Return the bare Pod that stands for the program; ``process`` is who will take it back."""
    version = {"version": visit.version} if visit.version else {}
    labels = {"app": visit.name, **version, **visit.labels}
    annotations = {RUN_BY: process}
    if visit.upstreams:
        annotations[UPSTREAMS] = ",".join(visit.upstreams)
    ports = [{"name": visit.port_name, "containerPort": visit.port}] if visit.port else []
    container = {"name": "app", "command": list(visit.command), "ports": ports}
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels=labels, annotations=annotations),
        spec=PodSpec(service_account_name=visit.service_account),
    )
    name = f"{visit.workload}-{process.partition(':')[0]}"
    return Workload(
        owner=ResourceKey("", "Pod", visit.namespace, name),
        api_version="v1",
        uid="",
        replicas=1,
        template=template,
        pod_spec={"serviceAccountName": visit.service_account, "containers": [container]},
        version="",
    )


def visiting_service(visit: Visit) -> dict[str, Any]:
    """Return the Service for a program that others may call."""
    port = {"name": visit.port_name, "port": visit.port, "targetPort": visit.port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": visit.name,
            "namespace": visit.namespace,
            "annotations": {RUN_BY: "clew run"},
        },
        "spec": {"selector": {"app": visit.name}, "ports": [port]},
    }


def selects(service: Mapping[str, Any], workload: Workload) -> bool:
    """Tell whether the Service sends requests to the program."""
    selector = service.get("spec", {}).get("selector") or {}
    labels = workload.template.metadata.labels
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def program_environment(
    visit: Visit,
    environ: Mapping[str, str],
    ports: Mapping[str, int],
    listening: Mapping[int, int],
) -> dict[str, str]:
    """Return the terminal's variables, those that are asked for, and PORT, where to listen.

    The proxies of the world outside are left out: they are not to see the mesh's requests.
    """
    kept = {k: v for k, v in environ.items() if not k.lower().endswith("_proxy")}
    first = next(iter(ports.values()), 0)
    port = {"PORT": str(listening.get(first, first))} if first else {}
    return {**kept, **port, **visit.env}
