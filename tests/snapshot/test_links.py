"""Which objects name which, by all the ways in which Istio's and Kubernetes' objects do."""

from __future__ import annotations

import pytest

from clew.config.parse import parse_documents
from clew.snapshot.links import links
from clew.snapshot.snapshot import build_snapshot

WORLD = """\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  template: {metadata: {labels: {app: reviews, version: v1}}, spec: {containers: [{name: a}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: other}
spec:
  selector: {matchLabels: {app: reviews}}
  template: {metadata: {labels: {app: reviews, version: v1}}, spec: {containers: [{name: a}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: narrow, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: wide, namespace: shop}
spec: {host: "*.shop.svc.cluster.local", subsets: [{name: v1, labels: {version: v1}}]}
---
"""


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (
            "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a,"
            " namespace: shop}, spec: {hosts: [reviews], gateways: [web, other/web, mesh],"
            " http: [{route: [{destination: {host: reviews, subset: v1}}],"
            " mirror: {host: reviews}}, {delegate: {name: leaf}}]}}",
            {
                ("spec.hosts[0]", "Service shop/reviews"),
                ("spec.gateways[0]", "Gateway shop/web"),
                ("spec.gateways[1]", "Gateway other/web"),
                ("spec.http[1].delegate", "VirtualService shop/leaf"),
                ("spec.http[0].route[0].destination", "Service shop/reviews"),
                ("spec.http[0].route[0].destination.subset", "DestinationRule shop/narrow"),
                ("spec.http[0].route[0].destination.subset", "DestinationRule shop/wide"),
                ("spec.http[0].mirror", "Service shop/reviews"),
            },
        ),
        (
            "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a,"
            " namespace: shop}, spec: {selector: {app: reviews}, servers: [{port: {number: 443,"
            " name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE,"
            " credentialName: cert}}]}}",
            {
                ("spec.servers[0].tls.credentialName", "Secret shop/cert"),
                ("spec.servers[0].tls.credentialName", "Secret other/cert"),
                ("spec.selector", "Deployment shop/reviews-v1"),
                ("spec.selector", "Deployment other/reviews-v1"),
            },
        ),
        (
            "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a,"
            " namespace: shop}, spec: {selector: {matchLabels: {app: reviews}}}}",
            {("spec.selector", "Deployment shop/reviews-v1")},
        ),
        (
            "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: a,"
            " namespace: shop}, spec: {workloadSelector: {labels: {app: reviews, version: v9}}}}",
            set(),
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a,"
            " namespace: shop}, spec: {parentRefs: [{name: web}], rules: [{backendRefs:"
            " [{name: reviews, port: 80}, {name: x, namespace: other, port: 80}]}]}}",
            {
                ("spec.parentRefs[0]", "Gateway shop/web"),
                ("spec.rules[0].backendRefs[0]", "Service shop/reviews"),
                ("spec.rules[0].backendRefs[1]", "Service other/x"),
            },
        ),
    ],
)
def test_what_an_object_names(manifest: str, expected: set[tuple[str, str]]) -> None:
    documents = parse_documents(WORLD + manifest)
    resources = [document.resource for document in documents if document.resource is not None]
    assert len(resources) == len(documents)
    key = resources[-1].key
    found = [link for link in links(build_snapshot(resources)) if link.source == key]
    assert {(link.field, str(link.target)) for link in found} == expected


def test_services_and_rules_name_what_they_are_for() -> None:
    resources = [d.resource for d in parse_documents(WORLD) if d.resource is not None]
    found = {
        (str(link.source), link.field, str(link.target))
        for link in links(build_snapshot(resources))
    }
    assert found == {
        ("Service shop/reviews", "spec.selector", "Deployment shop/reviews-v1"),
        ("DestinationRule shop/narrow", "spec.host", "Service shop/reviews"),
        ("DestinationRule shop/wide", "spec.host", "Service shop/reviews"),
    }
