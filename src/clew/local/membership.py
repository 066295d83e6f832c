"""A program that joins a WorkloadGroup: what the group says of its members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from clew.agent.spec import AgentSpec
from clew.local.agents import UPSTREAMS
from clew.local.visit import Visit
from clew.local.workloads import Workload
from clew.model.base import ObjectMeta, ResourceKey
from clew.model.pod import PodSpec, PodTemplateSpec, Probe, TCPSocketAction
from clew.model.workload_entry import AUTO_REGISTRATION_GROUP, HEALTHY
from clew.model.workload_group import GroupMetadata, WorkloadGroup

_CANONICAL_NAME = "service.istio.io/canonical-name"
_NAMES = (_CANONICAL_NAME, "app.kubernetes.io/name", "app")


def group_key(visit: Visit) -> ResourceKey:
    return ResourceKey("networking.istio.io", "WorkloadGroup", visit.namespace, visit.group)


def member_ports(visit: Visit, group: WorkloadGroup) -> Mapping[str, int]:
    """Return the ports by name: the one that was asked for, else those of the template."""
    return {visit.port_name: visit.port} if visit.port else group.spec.template.ports


def member_workload(visit: Visit, group: WorkloadGroup, *, process: str) -> Workload:
    """Return the member as what an agent can run; ``process`` makes its name unique.

    Source: Istio's ``istioctl x workload entry configure``: labels, network and service account.
    """
    template = group.spec.template
    metadata = group.spec.metadata or GroupMetadata()
    version = {"version": visit.version} if visit.version else {}
    labels = {**template.labels, **metadata.labels, **version, **visit.labels}
    if not any(labels.get(name) for name in _NAMES):
        labels[_CANONICAL_NAME] = visit.group
    upstreams = {UPSTREAMS: ",".join(visit.upstreams)} if visit.upstreams else {}
    # The proxy's settings are among the group's annotations.
    annotations = metadata.annotations | upstreams
    account = template.service_account or visit.service_account
    return Workload(
        owner=ResourceKey("", "Pod", visit.namespace, f"{visit.group}-{process.partition(':')[0]}"),
        api_version="v1",
        uid="",
        replicas=1,
        template=PodTemplateSpec(
            metadata=ObjectMeta(labels=labels, annotations=annotations),
            spec=PodSpec(service_account_name=account),
        ),
        pod_spec={},
        version="",
    )


def health_check(visit: Visit, group: WorkloadGroup) -> Probe | None:
    """Return the group's probe; without one, that the program accepts connections at its port."""
    if group.spec.probe is not None:
        return group.spec.probe
    ports = tuple(member_ports(visit, group).values())
    return Probe(tcp_socket=TCPSocketAction(port=ports[0])) if ports else None


def member_spec(spec: AgentSpec, visit: Visit, group: WorkloadGroup) -> AgentSpec:
    """Return what the agent of a member is told: it registers itself, and reports its health."""
    assert spec.app is not None
    return msgspec.structs.replace(
        spec,
        auto_register_group=visit.group,
        network=group.spec.template.network or spec.network,
        locality=group.spec.template.locality or spec.locality,
        api="",  # there is no Pod whose status it could write
        app=msgspec.structs.replace(spec.app, readiness=health_check(visit, group)),
    )


def is_entry_of(manifest: Mapping[str, Any], visit: Visit, address: str) -> bool:
    """Tell whether this WorkloadEntry stands for the member at ``address``."""
    metadata = manifest["metadata"]
    registered = (metadata.get("annotations") or {}).get(AUTO_REGISTRATION_GROUP)
    at = manifest.get("spec", {}).get("address")
    return (metadata.get("namespace"), registered, at) == (visit.namespace, visit.group, address)


def is_healthy(manifest: Mapping[str, Any]) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions", ())
    return any(c.get("type") == HEALTHY and c.get("status") == "True" for c in conditions)
