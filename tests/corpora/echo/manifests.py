"""The echo world's objects: which workloads and services it has, as manifests for `clew up`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Source: Istio's echo application, which answers here as well, for its probes.
HEALTH_PORT = 8080

Port = Mapping[str, Any]
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One workload and its service, which those of other versions share.

    ``standard``: it is one of those behind shared services.
    """

    name: str
    namespace: str
    proxy: bool = True
    headless: bool = False
    standard: bool = False
    version: str = "v1"
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.svc.cluster.local"


def world_manifests(
    apps: Iterable[App], ports: Iterable[Port], command: tuple[str, ...], file: str
) -> str:
    """Return the text of a manifest with everything that the world needs."""
    listed, given = tuple(apps), tuple(ports)
    namespaces = dict.fromkeys(app.namespace for app in listed)
    documents: list[Manifest] = [_namespace(name) for name in namespaces]
    documents += [_service(app, given) for app in {app.host: app for app in listed}.values()]
    documents += [_deployment(app, given, command, file) for app in listed]
    return "\n---\n".join(json.dumps(document) for document in documents)


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _service(app: App, ports: tuple[Port, ...]) -> Manifest:
    """Source: a headless service has no port of its own: it is the workload's."""
    listed = [
        {
            "name": port["name"],
            "port": port["workload_port"] if app.headless else port["service_port"],
            "targetPort": port["workload_port"],
        }
        for port in ports
        if port["service_port"]
    ]
    spec: Manifest = {"selector": {"app": app.name}, "ports": listed}
    if app.headless:
        spec["clusterIP"] = "None"
    metadata = {"name": app.name, "namespace": app.namespace, "labels": {"app": app.name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _deployment(app: App, ports: tuple[Port, ...], command: tuple[str, ...], file: str) -> Manifest:
    name = app.name if app.version == "v1" else f"{app.name}-{app.version}"
    labels = {"app": app.name, "version": app.version}
    if app.standard:
        labels["test.istio.io/class"] = "standard"
    if not app.proxy:
        labels["sidecar.istio.io/inject"] = "false"
    address = {"name": "ECHO_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    container = {
        "name": "app",
        "command": list(command),
        "env": [{"name": "ECHO_FILE", "value": file}, address],
        "ports": [{"containerPort": HEALTH_PORT}]
        + [{"name": port["name"], "containerPort": port["workload_port"]} for port in ports],
        "readinessProbe": {"tcpSocket": {"port": HEALTH_PORT}, "periodSeconds": 1},
    }
    template = {
        "metadata": {"labels": labels, "annotations": dict(app.annotations)},
        "spec": {
            "serviceAccountName": app.name,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": app.namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": app.name, "version": app.version}},
            "template": template,
        },
    }
