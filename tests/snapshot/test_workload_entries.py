"""WorkloadEntries as endpoints: health, identity and mTLS of what is registered."""

from __future__ import annotations

import pytest

from clew.model.service import Endpoint, Health
from tests.snapshot.world import istio, mesh, service


def entry(*, checked: str = "", conditions: str = "", spec: str = "") -> str:
    annotation = f'proxy.istio.io/health-checks-enabled: "{checked}"' if checked else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: vm, namespace: default, annotations: {{{annotation}}}}}
spec: {{address: 10.9.0.1, labels: {{app: web}}{spec}}}
status: {{conditions: [{conditions}]}}
"""


def endpoint(text: str) -> Endpoint:
    snapshot = mesh(service("web"), text)
    [found] = snapshot.endpoints[snapshot.services.ordered[0].key]
    return found


@pytest.mark.parametrize(
    ("checked", "conditions", "health"),
    [
        ("", "", Health.HEALTHY),
        ("", '{type: Healthy, status: "False"}', Health.HEALTHY),
        ("false", '{type: Healthy, status: "False"}', Health.HEALTHY),
        ("true", "", Health.UNHEALTHY),
        ("true", '{type: Healthy, status: "False"}', Health.UNHEALTHY),
        ("true", '{type: Other, status: "True"}', Health.UNHEALTHY),
        ("true", '{type: Healthy, status: "True"}', Health.HEALTHY),
    ],
)
def test_a_checked_entry_serves_once_it_is_reported_healthy(
    checked: str, conditions: str, health: Health
) -> None:
    assert endpoint(entry(checked=checked, conditions=conditions)).health is health


@pytest.mark.parametrize(
    ("spec", "mutual_tls"),
    [
        ("", False),
        (", serviceAccount: web", True),
        (', serviceAccount: web, labels: {app: web, security.istio.io/tlsMode: "disabled"}', False),
        (", labels: {app: web, security.istio.io/tlsMode: istio}", True),
    ],
)
@pytest.mark.proves("WorkloadEntrySpec.serviceAccount", "WorkloadEntrySpec.labels")
def test_the_label_or_else_an_identity_says_that_an_entry_takes_mtls(
    spec: str, mutual_tls: bool
) -> None:
    text = entry(spec=spec)
    if spec.count("labels"):
        text = text.replace(", labels: {app: web},", ",", 1)
    assert endpoint(text).mutual_tls is mutual_tls


@pytest.mark.proves(
    "WorkloadEntrySpec.address",
    "WorkloadEntrySpec.ports",
    "WorkloadEntrySpec.network",
    "WorkloadEntrySpec.locality",
    "WorkloadEntrySpec.weight",
    "WorkloadEntrySpec.serviceAccount",
)
def test_an_endpoint_has_everything_that_its_entry_says() -> None:
    spec = (
        "{address: 10.9.0.1, labels: {app: web}, ports: {http: 9000}, weight: 3, "
        "network: lan, locality: r1/z1/s1, serviceAccount: vm}"
    )
    snapshot = mesh(service("web"), istio("WorkloadEntry", "vm", spec))
    [found] = snapshot.endpoints[snapshot.services.ordered[0].key]
    assert (found.address, found.port, found.weight) == ("10.9.0.1", 9000, 3)
    workload = found.workload
    assert (workload.network, workload.service_account) == ("lan", "vm")
    assert tuple(workload.locality) == ("r1", "z1", "s1")


@pytest.mark.parametrize(
    ("address", "of_service", "of_entry"),
    [
        ("10.9.0.1", 1, 1),
        ("'fd00::1'", 1, 1),
        ("vm.example.com", 0, 1),
        ("unix:///run/vm.sock", 0, 1),
    ],
)
def test_services_of_kubernetes_select_only_entries_with_an_ip(
    address: str, of_service: int, of_entry: int
) -> None:
    selecting = """{hosts: [vm.mesh], resolution: STATIC, location: MESH_INTERNAL,
      ports: [{number: 80, name: http, protocol: HTTP}],
      workloadSelector: {labels: {app: web}}}"""
    text = entry().replace("10.9.0.1", address)
    snapshot = mesh(service("web"), istio("ServiceEntry", "vm", selecting), text)
    found = {s.kubernetes: len(snapshot.endpoints[s.key]) for s in snapshot.services.ordered}
    assert found == {True: of_service, False: of_entry}
