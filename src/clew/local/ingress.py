"""The gateway through which the machine reaches the mesh, as the objects that Istio would have."""

from __future__ import annotations

from typing import Any

from clew.local.agents import INGRESS, INGRESS_NAMESPACE

_LABELS = {"app": INGRESS, "istio": "ingressgateway"}


def ingress_manifests(*, http: int, https: int, tcp: int) -> tuple[dict[str, Any], ...]:
    """Return the Deployment and Service; the numbers are ports of this machine.

    Source: Istio's gateway chart and its demo profile, which opens 31400 for TCP.
    """
    ports = [
        {"name": "http2", "port": 80, "targetPort": http, "protocol": "TCP"},
        {"name": "https", "port": 443, "targetPort": https, "protocol": "TCP"},
        {"name": "tcp", "port": 31400, "targetPort": tcp, "protocol": "TCP"},
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(),
        "spec": {"type": "LoadBalancer", "selector": _LABELS, "ports": ports},
    }
    return _deployment([port["targetPort"] for port in ports]), service


def _deployment(ports: list[Any]) -> dict[str, Any]:
    container = {
        "name": "istio-proxy",
        "image": "auto",
        "ports": [{"containerPort": port, "protocol": "TCP"} for port in ports],
    }
    template = {
        "metadata": {
            "labels": _LABELS,
            "annotations": {"inject.istio.io/templates": "gateway"},
        },
        "spec": {
            "serviceAccountName": f"{INGRESS}-service-account",
            "containers": [container],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(),
        "spec": {"replicas": 1, "selector": {"matchLabels": _LABELS}, "template": template},
    }


def _metadata() -> dict[str, Any]:
    return {"name": INGRESS, "namespace": INGRESS_NAMESPACE, "labels": _LABELS}


def strict_manifest() -> dict[str, Any]:
    """Return the policy by which every sidecar of the mesh accepts mutual TLS only."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": INGRESS_NAMESPACE},
        "spec": {"mtls": {"mode": "STRICT"}},
    }
