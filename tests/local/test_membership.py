"""What a WorkloadGroup says of a program that joins it."""

from __future__ import annotations

from typing import Any

import pytest

from clew.agent.spec import AgentSpec, AppSpec
from clew.config.parse import parse_documents
from clew.local.membership import (
    health_check,
    is_entry_of,
    is_healthy,
    member_ports,
    member_spec,
    member_workload,
)
from clew.local.visit import Visit
from clew.local.workloads import pod_labels
from clew.model.pod import HTTPGetAction, Probe, TCPSocketAction
from clew.model.workload_group import WorkloadGroup

VISIT = Visit(command=("a",), name="vm", group="vm", labels={"tier": "asked"}, version="v2")
PROBE = "{httpGet: {port: 9000}}"


def group(spec: str) -> WorkloadGroup:
    text = f"""
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {{name: vm, namespace: default}}
spec: {spec}
"""
    [document] = parse_documents(text)
    assert isinstance(document.resource, WorkloadGroup)
    return document.resource


@pytest.mark.proves("GroupMetadata.labels", "WorkloadEntrySpec.labels")
def test_a_member_has_the_groups_labels_and_identity() -> None:
    template = "{labels: {app: web, tier: template}, serviceAccount: web}"
    found = member_workload(
        VISIT,
        group(f"{{metadata: {{labels: {{tier: group}}}}, template: {template}}}"),
        process="1:2",
    )
    labels = pod_labels(found)
    assert (labels["app"], labels["tier"], labels["version"]) == ("web", "asked", "v2")
    assert labels["security.istio.io/tlsMode"] == "istio"
    assert labels["service.istio.io/canonical-name"] == "web"
    assert found.template.spec.service_account_name == "web"
    assert found.name == "vm-1"


@pytest.mark.proves("GroupMetadata.annotations")
def test_a_member_has_the_groups_annotations_where_its_proxys_settings_are() -> None:
    metadata = "{annotations: {proxy.istio.io/config: 'concurrency: 2'}}"
    found = member_workload(
        VISIT, group(f"{{metadata: {metadata}, template: {{}}}}"), process="1:2"
    )
    assert found.template.metadata.annotations == {"proxy.istio.io/config": "concurrency: 2"}


def test_a_member_without_a_name_has_its_groups() -> None:
    labels = pod_labels(member_workload(VISIT, group("{template: {}}"), process="1:2"))
    assert labels["service.istio.io/canonical-name"] == "vm"


def test_a_member_listens_where_the_template_says_or_where_it_is_asked_to() -> None:
    template = group("{template: {ports: {http: 9000}}}")
    assert member_ports(VISIT, template) == {"http": 9000}
    asked = Visit(command=("a",), name="vm", group="vm", port=5000, port_name="tcp")
    assert member_ports(asked, template) == {"tcp": 5000}


def test_without_a_probe_a_member_is_healthy_once_its_port_accepts() -> None:
    probed = group(f"{{template: {{ports: {{http: 9000}}}}, probe: {PROBE}}}")
    assert health_check(VISIT, probed) == Probe(http_get=HTTPGetAction(port=9000))
    plain = group("{template: {ports: {http: 9000}}}")
    assert health_check(VISIT, plain) == Probe(tcp_socket=TCPSocketAction(port=9000))
    assert health_check(VISIT, group("{template: {}}")) is None


@pytest.mark.proves("WorkloadEntrySpec.network", "WorkloadEntrySpec.locality")
def test_the_agent_registers_itself_from_the_groups_place() -> None:
    spec = AgentSpec(
        mesh="m",
        type="sidecar",
        name="vm-1",
        namespace="default",
        workload="vm",
        ip="10.0.0.7",
        api="/api.sock",
        app=AppSpec(command=("a",)),
    )
    found = member_spec(spec, VISIT, group("{template: {network: lan, locality: r/z}}"))
    assert (found.auto_register_group, found.network, found.locality) == ("vm", "lan", "r/z")
    assert found.api == ""


def test_an_entry_is_recognised_by_group_and_address() -> None:
    manifest: dict[str, Any] = {
        "metadata": {
            "name": "vm-10.0.0.7",
            "namespace": "default",
            "annotations": {"istio.io/autoRegistrationGroup": "vm"},
        },
        "spec": {"address": "10.0.0.7"},
    }
    assert is_entry_of(manifest, VISIT, "10.0.0.7")
    assert not is_entry_of(manifest, VISIT, "10.0.0.8")
    assert not is_healthy(manifest)
    status = {"conditions": [{"type": "Healthy", "status": "True"}]}
    assert is_healthy({**manifest, "status": status})
