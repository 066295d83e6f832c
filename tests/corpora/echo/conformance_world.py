"""The world of the Gateway API's conformance tests in a running mesh.

Its backends are the echo application, its Gateways have proxies of their own, and its certificates
are made here, as the program that runs those tests makes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from clew.config.parse import parse_documents
from clew.snapshot.gateway_api.deployment import GATEWAY_NAME
from clew.snapshot.snapshot import build_snapshot
from tests.certificates import self_signed
from tests.corpora.corpus import FOLDER
from tests.corpora.echo.manifests import HEALTH_PORT, Port
from tests.corpora.echo.world import APP, CERTIFICATE, World, eventually, running_world

Manifest = dict[str, Any]

# Source: the base manifests, and the certificates that the conformance suite makes.
_INFRASTRUCTURE, _MESH = "gateway-api-base-manifests", "gateway-api-mesh-manifests"
_NAMES = ("abc.example.com", "other.example.com", "spiffe://abc.example.com/test-identity")
_PORTS: list[Port] = [
    {"name": "http", "service_port": None, "workload_port": 3000},
    {"name": "h2c", "service_port": None, "workload_port": 3001},
    {"name": "https", "service_port": None, "workload_port": 8443, "tls": True},
    {"name": "tcp", "service_port": None, "workload_port": 9090},
    {"name": "grpc", "service_port": None, "workload_port": 7070},
]
_START_SECONDS, _CASE_SECONDS = 120.0, 15.0


class NotReady(Exception):
    """A Gateway or a workload of a case does not serve."""


@dataclass(frozen=True, slots=True)
class ConformanceWorld:
    """``mesh`` runs; ``base`` is the text of what is there for all cases."""

    mesh: World
    base: str

    @contextmanager
    def configured(self, manifests: Iterable[str], gateways: Iterable[str]) -> Iterator[list[str]]:
        """Have the objects of a case, with their workloads and ``gateways`` ready to serve.

        Raises: NotReady.
        """
        text = self._complete("\n---\n".join(manifests))
        with self.mesh.configured(text, "default") as refused:
            try:
                self._wait(gateways, _CASE_SECONDS)
            except AssertionError as problem:
                raise NotReady(f"{problem}; refused: {refused}") from None
            yield refused

    def _wait(self, gateways: Iterable[str], seconds: float) -> None:
        wanted = tuple(gateways)
        eventually(lambda: all(map(self._serves, wanted)), seconds=seconds, what=str(wanted))
        eventually(self._workloads_are_ready, seconds=seconds, what="workloads")
        self.mesh.settle()
        for pod in self.mesh.client.list(kinds=("Pod",)).items:
            meta = pod["metadata"]
            self.mesh.pods[_workload(meta)] = meta["name"]
            self.mesh.addresses[_workload(meta)] = pod["status"]["podIP"]

    def _serves(self, gateway: str) -> bool:
        return self._service(gateway).get("status", {}).get("loadBalancer") is not None

    def _workloads_are_ready(self) -> bool:
        pods = self.mesh.client.list(kinds=("Pod",)).items
        running = {_workload(pod["metadata"]) for pod in pods if _is_ready(pod)}
        deployments = self.mesh.client.list(kinds=("Deployment",)).items
        wanted = {f"{d['metadata']['namespace']}/{d['metadata']['name']}" for d in deployments}
        return wanted <= running

    def _service(self, gateway: str) -> Manifest:
        namespace, _, name = gateway.partition("/")
        found = self.mesh.client.list(
            kinds=("Service",), namespace=namespace, selector=f"{GATEWAY_NAME}={name}"
        ).items
        return dict(found[0]) if found else {}

    def place(self, gateway: str, port: int) -> tuple[str, int]:
        """Return where the proxy of a Gateway serves one of its ports."""
        service = self._service(gateway)
        [entry] = service["status"]["loadBalancer"]["ingress"]
        numbers = {each["port"]: each["targetPort"] for each in service["spec"]["ports"]}
        return entry["ip"], int(numbers[port])

    def listeners(self, manifests: Iterable[str], gateway: str) -> list[Manifest]:
        """Return the listeners that the manifests give to a Gateway, by itself or by sets."""
        documents = _documents("\n---\n".join([self.base, *manifests]))
        return [
            listener
            for document in documents
            if _gateway_of(document) == gateway
            for listener in document["spec"].get("listeners") or ()
        ]

    def pods(self, namespace: str, workload: str) -> list[str]:
        """Return the addresses of a workload's pods."""
        return [
            pod["status"]["podIP"]
            for pod in self.mesh.client.list(kinds=("Pod",), namespace=namespace).items
            if _workload(pod["metadata"]) == f"{namespace}/{workload}"
        ]

    def _complete(self, text: str) -> str:
        """Return the text with echoing workloads and the certificates that it refers to."""
        text = _of_class(text)
        echoing = [
            _echoing(each, str(self.mesh.home / APP)) if each["kind"] == "Deployment" else each
            for each in _documents(text)
        ]
        certificate = (self.mesh.home / CERTIFICATE).read_text()
        made = _referenced(f"{self.base}\n---\n{text}", certificate)
        return yaml.safe_dump_all([*made, *echoing])


@contextmanager
def conformance_world() -> Iterator[ConformanceWorld]:
    """Run the base objects of the conformance tests for gateways and for the mesh."""
    base = [(FOLDER / "support" / f"{name}.yaml").read_text() for name in (_INFRASTRUCTURE, _MESH)]
    text = _of_class("\n---\n".join(base))
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}"
    with running_world([], _PORTS, manifests=[namespace], names=_NAMES) as mesh:
        world = ConformanceWorld(mesh, text)
        report = mesh.client.apply(world._complete(text))
        assert all(item.revision for item in report.items), report
        gateways = [
            f"{each['metadata']['namespace']}/{each['metadata']['name']}"
            for each in _documents(text)
            if each["kind"] == "Gateway"
        ]
        world._wait(gateways, _START_SECONDS)
        yield world


def _of_class(text: str) -> str:
    return text.replace("{GATEWAY_CLASS_NAME}", "istio")


def _documents(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


def _gateway_of(document: Manifest) -> str:
    """Return which Gateway this is, or adds listeners to; "" is none."""
    meta = document["metadata"]
    own = meta.get("namespace", "default")
    if document["kind"] == "Gateway":
        return f"{own}/{meta['name']}"
    if document["kind"] in ("ListenerSet", "XListenerSet"):
        parent = document["spec"]["parentRef"]
        return f"{parent.get('namespace') or own}/{parent['name']}"
    return ""


def _workload(meta: Mapping[str, Any]) -> str:
    """Return the Deployment of a pod: ``name-hash-hash``."""
    return f"{meta['namespace']}/{meta['name'].rsplit('-', 2)[0]}"


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _echoing(deployment: Manifest, file: str) -> Manifest:
    """Return the Deployment with the echo application as its only program.

    Only those of the tests for the mesh have a sidecar.
    """
    meta, template = deployment["metadata"], deployment["spec"]["template"]
    labels = dict(template["metadata"]["labels"])
    if "-mesh" not in meta["namespace"]:
        labels["sidecar.istio.io/inject"] = "false"
    container = {
        "name": "app",
        "command": [sys.executable, "-m", "tests.corpora.echo.app"],
        "env": [
            {"name": "ECHO_FILE", "value": file},
            {"name": "ECHO_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "NAMESPACE", "value": meta["namespace"]},
        ],
        "ports": [{"containerPort": port["workload_port"]} for port in _PORTS]
        + [{"containerPort": HEALTH_PORT}],
        "readinessProbe": {"tcpSocket": {"port": HEALTH_PORT}, "periodSeconds": 1},
    }
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    changed = {"metadata": {"labels": labels}, "spec": pod}
    spec = {**deployment["spec"], "replicas": 1, "template": changed}
    return {**deployment, "spec": spec}


def _referenced(text: str, certificate: str) -> Iterator[Manifest]:
    """Yield the certificates and authorities that Gateways, routes and policies refer to.

    Source: the conformance suite makes those, but for what is to be missing; "mismatch" is an
    authority that has signed nothing.
    """
    resources = [d.resource for d in parse_documents(text) if d.resource is not None]
    declared = {resource.key for resource in resources}
    for key in build_snapshot(resources).gateway_api.referenced:
        if key in declared or "nonexist" in key.name or key.group:
            continue
        chain, own = self_signed("echo", "mismatch")
        shown = own + chain if "mismatch" in key.name else certificate
        begin = shown.index("-----BEGIN CERTIFICATE")
        metadata = {"name": key.name, "namespace": key.namespace}
        made: Manifest = {"apiVersion": "v1", "kind": key.kind, "metadata": metadata}
        if key.kind == "Secret":
            data = {"tls.crt": shown[begin:], "tls.key": shown[:begin]}
            yield {**made, "type": "kubernetes.io/tls", "stringData": data}
        elif key.kind == "ConfigMap":
            yield {**made, "data": {"ca.crt": shown[begin:]}}
