"""The objects that Istio's and the Gateway API's own tests add to the files of their cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import yaml

from clew.config.parse import parse_documents, parse_manifest
from clew.model.base import Resource
from tests.certificates import self_signed
from tests.corpora.corpus import support

SUFFIX = ".svc.domain.suffix"


@cache
def key_pair() -> tuple[str, str]:
    """A certificate that is its own authority, and its key, as PEM."""
    return self_signed("example.org")


def tls_secret(name: str, namespace: str) -> dict[str, Any]:
    certificate, key = key_pair()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate},
    }


def roots(name: str, namespace: str) -> dict[str, Any]:
    return config_map(name, namespace, {"ca.crt": key_pair()[0]})


def config_map(name: str, namespace: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def istio_world(text: str) -> Iterator[Resource]:
    """Yield the objects of a case of Istio's conversion, and what its tests add."""
    documents = parse_documents(text.replace(SUFFIX, ".svc.cluster.local"))
    found = [document.resource for document in documents if document.resource is not None]
    yield from found
    declared = {resource.key for resource in found}
    namespaces = {resource.metadata.namespace for resource in found if resource.metadata.namespace}
    added = [*map(_namespace, sorted(namespaces)), *_services(), *_credentials()]
    for manifest in added:
        resource = parse_manifest(manifest).resource
        if resource is not None and resource.key not in declared:
            yield resource


def _namespace(name: str) -> dict[str, Any]:
    labels = {"istio.io/test-name-part": name.split("-")[0]}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }


def _credentials() -> Iterator[dict[str, Any]]:
    for name in ("my-cert-http", "my-cert-http2", "my-cert"):
        yield tls_secret(name, "istio-system")
    yield tls_secret("cert", "cert")
    yield {
        **tls_secret("malformed", "istio-system"),
        "stringData": {"tls.crt": "Hello world", "tls.key": "Hello world"},
    }
    yield roots("my-cert-http", "istio-system")
    for namespace in ("istio-system", "default"):
        yield roots("auth-cert", namespace)
        yield config_map("malformed", namespace, {"not-ca.crt": "hello"})
        yield config_map("malformed-trustbundle", namespace, {"ca.crt": "hello"})


def _services() -> Iterator[dict[str, Any]]:
    for service in support("gateway-conversion-fixtures")["services"]:
        host, attributes = service["hostname"], service["attributes"]
        if "/" in host:
            continue
        meta = {"name": host.split(".")[0], "namespace": attributes["Namespace"]}
        if not host.endswith(SUFFIX):
            yield _entry(host, attributes["Namespace"], service["ports"])
            continue
        addresses = attributes.get("ClusterExternalAddresses", {}).get("Addresses", {})
        ingress = [{"ip": ip} for ip in addresses.get("Kubernetes", ())]
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "ports": [
                    {
                        "name": port["Name"],
                        "port": port["Port"],
                        "targetPort": 8080 if number == 0 else port["Port"],
                    }
                    for number, port in enumerate(service["ports"])
                ]
            },
            "status": {"loadBalancer": {"ingress": ingress}},
        }


def _entry(host: str, namespace: str, ports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": f"fixture-{host}", "namespace": namespace},
        "spec": {
            "hosts": [host],
            "ports": [
                {"name": port["Name"], "number": port["Port"], "protocol": port["Protocol"]}
                for port in ports
            ],
            "resolution": "DNS",
        },
    }


def plain(value: Any) -> Any:
    """A value without what is empty or a default, so that two spellings of it are equal."""
    if isinstance(value, dict):
        kept = {key: plain(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, "", [], {}, False)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def documents(text: str | None) -> list[dict[str, Any]]:
    """The manifests of expected YAML, in this mesh's domain."""
    text = (text or "").replace(SUFFIX, ".svc.cluster.local")
    return [each for each in yaml.safe_load_all(text) if each]
