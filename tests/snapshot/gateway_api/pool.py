"""The Gateway API's part of the small world for property tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

API, EXPERIMENTAL = "gateway.networking.k8s.io", "gateway.networking.x-k8s.io"
PASSED_ON = {"mode": "Passthrough"}
LABEL = {"gateway.networking.k8s.io/gateway-name": "a"}

_PARENTS: tuple[dict[str, Any], ...] = (
    {"name": "a", "namespace": "one"},
    {"name": "a", "namespace": "one", "sectionName": "b"},
    {"kind": "ListenerSet", "group": API, "name": "b"},
    {"kind": "Service", "group": "", "name": "a", "namespace": "one"},
    {"kind": "ServiceEntry", "group": "networking.istio.io", "name": "a"},
)
_BACKENDS: tuple[dict[str, Any], ...] = (
    {"name": "a", "port": 80},
    {"name": "b", "namespace": "one", "port": 80},
    {"name": "x.org", "kind": "Hostname", "group": "networking.istio.io", "port": 80},
)


def gateway_api_manifests(ages: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield manifests. There is one Gateway, which most others are about."""
    for controller, name in product(("istio.io/gateway-controller", "example.com/other"), "ab"):
        yield _placed(_manifest("GatewayClass", {"controllerName": controller}), {"name": name})
    for age, each in product(ages, [*_gateways(), *_others()]):
        places = product("ab", ("one", "two"))
        for name, namespace in [("a", "one")] if each["kind"] == "Gateway" else places:
            where = {"name": name, "namespace": namespace}
            yield _placed(each, {**where, "creationTimestamp": age})


def _placed(manifest: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    return {**manifest, "metadata": metadata}


def _others() -> Iterator[dict[str, Any]]:
    for parent, backend, host in product(_PARENTS, _BACKENDS, ((), ("x.org",))):
        rules = [{"backendRefs": [backend]}]
        hosts = {"hostnames": list(host)} if host else {}
        yield _manifest("HTTPRoute", {"parentRefs": [parent], **hosts, "rules": rules})
        yield _manifest("GRPCRoute", {"parentRefs": [parent], **hosts, "rules": rules})
        if host:
            yield _manifest("TLSRoute", {"parentRefs": [parent], **hosts, "rules": rules})
        else:
            yield _manifest("TCPRoute", {"parentRefs": [parent], "rules": rules})
            yield _manifest("UDPRoute", {"parentRefs": [parent], "rules": rules})
    yield from _grants()
    yield from _policies()


def _manifest(kind: str, spec: dict[str, Any], group: str = f"{API}/v1") -> dict[str, Any]:
    return {"apiVersion": group, "kind": kind, "metadata": {}, "spec": spec}


def _gateways() -> Iterator[dict[str, Any]]:
    own: dict[str, Any]
    for kind, of, permitted in product(("istio", "a"), NAMES_OF_SECRETS, ("Same", "All")):
        certificates = [{"name": "a", **of}]
        secured = {"protocol": "HTTPS", "port": 443, "tls": {"certificateRefs": certificates}}
        routes = {"allowedRoutes": {"namespaces": {"from": permitted}}}
        listeners = [
            {"name": "a", "protocol": "HTTP", "port": 80, **routes},
            {"name": "b", "hostname": "*.example.com", **secured, **routes},
        ]
        listeners += [
            {
                "name": "c",
                "protocol": "TLS",
                "port": 8443,
                "tls": {"mode": "Passthrough"},
                **routes,
            },
            {"name": "d", "protocol": "TCP", "port": 9000, **routes},
            {"name": "e", "protocol": "UDP", "port": 9000, **routes},
        ]
        own = {"gatewayClassName": kind, "allowedListeners": {"namespaces": {"from": permitted}}}
        yield _manifest("Gateway", {**own, "listeners": listeners})
        parent = {"parentRef": {"name": "a", "namespace": "one"}}
        yield _manifest("ListenerSet", {**parent, "listeners": [{"name": "c", **secured}]})
    for roots in ("Secret", "ConfigMap"):
        validation = {"caCertificateRefs": [{"group": "", "kind": roots, "name": "a"}]}
        tls: dict[str, Any] = {"frontend": {"default": {"validation": validation}}}
        tls["backend"] = {"clientCertificateRef": {"name": "a"}}
        listener = {"name": "a", "protocol": "HTTPS", "port": 443}
        listener["tls"] = {"certificateRefs": [{"name": "b"}]}
        yield _manifest(
            "Gateway", {"gatewayClassName": "istio", "tls": tls, "listeners": [listener]}
        )


NAMES_OF_SECRETS: tuple[dict[str, str], ...] = ({}, {"namespace": "two"})


def _grants() -> Iterator[dict[str, Any]]:
    of = {"group": API, "namespace": "one"}
    for referrer, kind in (
        ("Gateway", "Secret"),
        ("Gateway", "ConfigMap"),
        ("HTTPRoute", "Service"),
        ("GRPCRoute", "Service"),
    ):
        spec = {"from": [{**of, "kind": referrer}], "to": [{"group": "", "kind": kind}]}
        yield _manifest("ReferenceGrant", spec, f"{API}/v1beta1")


def _policies() -> Iterator[dict[str, Any]]:
    for name, roots in product(("a", "b"), ("ConfigMap", "Secret", "")):
        authority: dict[str, Any] = {"wellKnownCACertificates": "System"}
        if roots:
            authority = {"caCertificateRefs": [{"group": "", "kind": roots, "name": "a"}]}
        spec = {"validation": {"hostname": "x.org", **authority}}
        yield _manifest(
            "BackendTLSPolicy",
            {"targetRefs": [{"group": "", "kind": "Service", "name": name}], **spec},
        )
        retry = {"retryConstraint": {"budget": {"percent": 30, "interval": "10s"}}}
        yield _manifest(
            "XBackendTrafficPolicy",
            {"targetRefs": [{"group": "", "kind": "Service", "name": name}], **retry},
            f"{EXPERIMENTAL}/v1alpha1",
        )
