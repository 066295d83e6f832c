"""What single pods are called under a headless service."""

from __future__ import annotations

import pytest

from tests.snapshot.world import mesh, pod, service

HEADLESS = service("db").replace("10.1.0.1", "None")
OWNED = "ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, controller: true}]"


def owned(text: str) -> str:
    return text.replace("metadata: {", f"metadata: {{{OWNED}, ", 1)


def named(*, hostname: str, subdomain: str) -> str:
    spec = f"hostname: {hostname}, subdomain: {subdomain}, containers: [{{name: app}}]"
    return pod("p", "10.2.0.1", app="db", spec=spec)


@pytest.mark.parametrize(
    ("declared", "text", "hostname"),
    [
        (HEADLESS, owned(pod("db-0", "10.2.0.1", app="db")), "db-0"),
        (HEADLESS, named(hostname="first", subdomain="db"), "first"),
        (HEADLESS, named(hostname="first", subdomain="other"), ""),
        (HEADLESS, pod("db-0", "10.2.0.1", app="db"), ""),
        (service("db"), owned(pod("db-0", "10.2.0.1", app="db")), ""),
    ],
)
def test_a_pod_is_called_by_its_hostname_and_one_of_a_stateful_set_by_its_own_name(
    declared: str, text: str, hostname: str
) -> None:
    snapshot = mesh(declared, text)
    [service_] = snapshot.services.ordered
    assert [e.hostname for e in snapshot.endpoints[service_.key]] == [hostname]


def test_slices_and_endpoints_say_what_their_addresses_are_called() -> None:
    slices = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.2.0.1], hostname: first}]
"""
    older = """
apiVersion: v1
kind: Endpoints
metadata: {name: db, namespace: default}
subsets: [{addresses: [{ip: 10.2.0.1, hostname: first}], ports: [{name: http, port: 8080}]}]
"""
    for text in (slices, older):
        snapshot = mesh(HEADLESS, text)
        [service_] = snapshot.services.ordered
        assert [e.hostname for e in snapshot.endpoints[service_.key]] == ["first"]
