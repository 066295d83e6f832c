"""Deployments, StatefulSets and Pods as this machine runs them: replicas of a pod template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from xxhash import xxh3_64_hexdigest

from clew.model.base import ObjectMeta, OwnerReference, Resource, ResourceKey
from clew.model.deployment import Deployment
from clew.model.pod import Pod, PodTemplateSpec
from clew.model.stateful_set import StatefulSet

TEMPLATE_HASH = "pod-template-hash"
# Marks the Pod that `clew run` registered and runs itself; the value is its process.
RUN_BY = "clew.dev/run-by"

# Source: Istio's labels for workloads with a sidecar.
_INJECT = "sidecar.istio.io/inject"
_NO = ("false", "no", "off", "n")
_TLS_MODE = "security.istio.io/tlsMode"
_CANONICAL_NAME = "service.istio.io/canonical-name"
_CANONICAL_REVISION = "service.istio.io/canonical-revision"


Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """So many equal replicas. ``version`` changes with the template: old replicas are replaced.

    ``pod_spec`` is the template's spec as the user wrote it, with all that clew does not read.
    """

    owner: ResourceKey
    api_version: str
    uid: str
    replicas: int
    template: PodTemplateSpec
    pod_spec: Mapping[str, Any]
    version: str

    @property
    def name(self) -> str:
        return self.owner.name

    @property
    def namespace(self) -> str:
        return self.owner.namespace


def workloads(objects: Iterable[tuple[Resource, Manifest]]) -> tuple[Workload, ...]:
    """Return what is to run. Pods that a workload owns, or `clew run`, are results, not wishes."""
    found = (_workload(resource, manifest) for resource, manifest in objects)
    return tuple(workload for workload in found if workload is not None)


def _workload(resource: Resource, manifest: Manifest) -> Workload | None:
    if isinstance(resource, Deployment | StatefulSet):
        replicas = 1 if resource.spec.replicas is None else resource.spec.replicas
        pod_spec = manifest["spec"].get("template", {}).get("spec", {})
        return _of_template(resource, replicas, resource.spec.template, pod_spec)
    if isinstance(resource, Pod) and is_bare(resource):
        meta = ObjectMeta(
            labels=resource.metadata.labels, annotations=resource.metadata.annotations
        )
        template = PodTemplateSpec(metadata=meta, spec=resource.spec)
        return _of_template(resource, 1, template, manifest.get("spec", {}))
    return None


def is_bare(pod: Pod) -> bool:
    """Tell whether a user wrote this Pod and wants it to run."""
    meta = pod.metadata
    return not meta.owner_references and RUN_BY not in meta.annotations


def _of_template(
    resource: Resource, replicas: int, template: PodTemplateSpec, pod_spec: Mapping[str, Any]
) -> Workload:
    return Workload(
        owner=resource.key,
        api_version=resource.api_version,
        uid=resource.metadata.uid,
        replicas=max(replicas, 0),
        template=template,
        pod_spec=pod_spec,
        version=template_hash(template),
    )


def template_hash(template: PodTemplateSpec) -> str:
    """Five characters that change when a replica would run differently.

    The labels and annotations that the control plane adds to a bare Pod do not count.
    """
    added = (_TLS_MODE, _CANONICAL_NAME, _CANONICAL_REVISION, TEMPLATE_HASH)
    labels = {k: v for k, v in template.metadata.labels.items() if k not in added}
    value = (labels, template.metadata.annotations, template.spec)
    return xxh3_64_hexdigest(msgspec.json.encode(value, order="sorted"))[:5]


def replica_name(workload: Workload, ordinal: int) -> str:
    """``reviews-v1-7f9c4-0``, ``db-0`` of a StatefulSet; a Pod is its own replica."""
    if workload.owner.kind == "Pod":
        return workload.name
    if workload.owner.kind == "StatefulSet":
        return f"{workload.name}-{ordinal}"
    return f"{workload.name}-{workload.version}-{ordinal}"


def is_gateway(template: PodTemplateSpec) -> bool:
    """Tell whether the replicas are proxies without a program.

    Source: Istio's gateway injection: the template ``gateway``, and the image ``auto``.
    """
    return template.metadata.annotations.get("inject.istio.io/templates") == "gateway"


def has_proxy(template: PodTemplateSpec) -> bool:
    """Tell whether a sidecar stands beside the program, as it does unless the user says no.

    Source: Istio's injection: the label is asked before the annotation of the same name.
    """
    meta = template.metadata
    return meta.labels.get(_INJECT, meta.annotations.get(_INJECT, "")) not in _NO


def pod_labels(workload: Workload) -> dict[str, str]:
    """The template's labels, and those that Istio's injection and Kubernetes add.

    Source: Istio's canonical service: the label itself, the recommended one, ``app``, the name.
    """
    given = workload.template.metadata.labels
    name = _first(given, (_CANONICAL_NAME, "app.kubernetes.io/name", "app"), workload.name)
    revision = _first(
        given, (_CANONICAL_REVISION, "app.kubernetes.io/version", "version"), "latest"
    )
    added = {_CANONICAL_NAME: name, _CANONICAL_REVISION: revision}
    if has_proxy(workload.template):
        added[_TLS_MODE] = "istio"
    if workload.owner.kind == "Deployment":
        added[TEMPLATE_HASH] = workload.version
    return added | given


def _first(labels: Mapping[str, str], keys: Iterable[str], otherwise: str) -> str:
    return next((labels[key] for key in keys if labels.get(key)), otherwise)


def pod_manifest(workload: Workload, name: str, address: str, *, since: str) -> dict[str, Any]:
    """Return the Pod object of one replica, not ready yet."""
    template = workload.template
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": workload.namespace,
            "labels": pod_labels(workload),
            "annotations": dict(template.metadata.annotations),
            "ownerReferences": _owners(workload),
        },
        "spec": dict(workload.pod_spec),
        "status": pending_status(address, since),
    }


def pending_status(address: str, since: str) -> dict[str, Any]:
    return {
        "phase": "Pending",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": since,
        "conditions": [{"type": "Ready", "status": "False"}],
    }


def _owners(workload: Workload) -> list[dict[str, Any]]:
    if workload.owner.kind == "Pod":
        return []
    owner = OwnerReference(
        api_version=workload.api_version,
        kind=workload.owner.kind,
        name=workload.name,
        uid=workload.uid,
        controller=True,
    )
    return [msgspec.to_builtins(owner)]
