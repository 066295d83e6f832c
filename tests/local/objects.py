"""Deployments and their like, short."""

from __future__ import annotations

from typing import Any

from clew.config.parse import parse_documents
from clew.local.workloads import Workload, workloads
from clew.model.base import Resource, ResourceKey

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web, version: v1}}
    spec:
      containers:
      - name: web
        image: acme/web:1
        args: [--verbose]
        ports: [{name: http, containerPort: 9000}]
"""


def read(text: str) -> tuple[Workload, ...]:
    """The workloads of a text of manifests, which must be valid."""
    documents = parse_documents(text)
    assert not [d for document in documents for d in document.diagnostics]
    pairs = [(d.resource, d.manifest) for d in documents if d.resource is not None]
    return workloads(pairs)


def web(*changes: tuple[str, str]) -> Workload:
    """The Deployment above, with texts replaced."""
    text = WEB
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (workload,) = read(text)
    return workload


def with_container(**fields: Any) -> Workload:
    """The Deployment above, its container with more or other fields, in YAML's flow style."""
    added = "".join(f"        {name}: {value}\n" for name, value in fields.items())
    (workload,) = read(WEB + added)
    return workload


def resources(text: str) -> dict[ResourceKey, Resource]:
    found = [document.resource for document in parse_documents(text)]
    return {resource.key: resource for resource in found if resource is not None}
