"""Rules for the Gateway API's GatewayClass, Gateway and ListenerSet."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import (
    ADDRESS_TYPE,
    CONTROLLER,
    HOSTNAME,
    LABEL_VALUE,
    OBJECT_NAME,
    check_count,
    check_label_keys,
    check_length,
    check_text,
    check_unique,
)
from clew.config.validate.gateway_api.listeners import check_listeners
from clew.config.validate.gateway_api.references import check_named, check_placed
from clew.config.validate.hosts import check_port
from clew.model.addresses import is_ip
from clew.model.gateway_api.gateway import (
    GatewayInfrastructure,
    GatewaySpecAddress,
    GatewayTLSConfig,
    KubernetesGateway,
    TLSConfig,
)
from clew.model.gateway_api.gateway_class import GatewayClass
from clew.model.gateway_api.listener import FromNamespaces
from clew.model.gateway_api.listener_set import ListenerSet


def validate_gateway_class(resource: GatewayClass) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_text(spec.controller_name, CONTROLLER, ("spec", "controllerName"))
    yield from check_length(spec.description, 64, ("spec", "description"))
    if spec.parameters_ref is not None:
        yield from check_placed(spec.parameters_ref, ("spec", "parametersRef"))


def validate_kubernetes_gateway(resource: KubernetesGateway) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_text(spec.gateway_class_name, OBJECT_NAME, ("spec", "gatewayClassName"))
    # The CRD asks for a listener always; all of them in ListenerSets work just as well.
    open_to_sets = spec.allowed_listeners.namespaces.from_ is not FromNamespaces.NONE
    yield from check_listeners(spec.listeners, least=0 if open_to_sets else 1)
    yield from _check_addresses(spec.addresses)
    if spec.infrastructure is not None:
        yield from _check_infrastructure(spec.infrastructure, ("spec", "infrastructure"))
    if spec.tls is not None:
        yield from _check_tls(spec.tls, ("spec", "tls"))


def validate_listener_set(resource: ListenerSet) -> Iterator[Finding]:
    yield from check_placed(resource.spec.parent_ref, ("spec", "parentRef"))
    yield from check_listeners(resource.spec.listeners, fold_case=True)


def _check_addresses(addresses: tuple[GatewaySpecAddress, ...]) -> Iterator[Finding]:
    path: FieldPath = ("spec", "addresses")
    yield from check_count(addresses, 16, path)
    for index, address in enumerate(addresses):
        yield from check_text(address.type, ADDRESS_TYPE, (*path, index, "type"))
        yield from _check_address(address, (*path, index, "value"))
    once = ("IPAddress", "Hostname")
    yield from check_unique(
        ((a.type, a.value) if a.type in once and a.value else None for a in addresses), path
    )


def _check_address(address: GatewaySpecAddress, path: FieldPath) -> Iterator[Finding]:
    yield from check_length(address.value, 253, path)
    if address.type == "Hostname" and address.value:
        yield from check_text(address.value, HOSTNAME, path)
    elif address.type == "IPAddress" and address.value and not is_ip(address.value):
        yield Finding(path, f'"{address.value}" is not an IP address', "without port or range")


def _check_infrastructure(wanted: GatewayInfrastructure, path: FieldPath) -> Iterator[Finding]:
    yield from check_count(wanted.labels, 8, (*path, "labels"))
    yield from check_label_keys(wanted.labels, (*path, "labels"))
    for key, value in wanted.labels.items():
        yield from check_text(value, LABEL_VALUE, (*path, "labels", key))
    yield from check_count(wanted.annotations, 16, (*path, "annotations"))
    yield from check_label_keys(wanted.annotations, (*path, "annotations"))
    for key, value in wanted.annotations.items():
        yield from check_length(value, 4096, (*path, "annotations", key))
    if wanted.parameters_ref is not None:
        yield from check_named(wanted.parameters_ref, (*path, "parametersRef"))


def _check_tls(tls: GatewayTLSConfig, path: FieldPath) -> Iterator[Finding]:
    if tls.backend is not None and tls.backend.client_certificate_ref is not None:
        at = (*path, "backend", "clientCertificateRef")
        yield from check_placed(tls.backend.client_certificate_ref, at)
    if tls.frontend is None:
        return
    yield from _check_validation(tls.frontend.default, (*path, "frontend", "default"))
    ports: FieldPath = (*path, "frontend", "perPort")
    yield from check_count(tls.frontend.per_port, 64, ports)
    for index, each in enumerate(tls.frontend.per_port):
        yield from check_port(each.port, (*ports, index, "port"))
        yield from _check_validation(each.tls, (*ports, index, "tls"))
    yield from check_unique((each.port for each in tls.frontend.per_port), ports, ("port",))


def _check_validation(tls: TLSConfig, path: FieldPath) -> Iterator[Finding]:
    if tls.validation is None:
        return
    at: FieldPath = (*path, "validation", "caCertificateRefs")
    yield from check_count(tls.validation.ca_certificate_refs, 8, at, least=1)
    for index, reference in enumerate(tls.validation.ca_certificate_refs):
        yield from check_placed(reference, (*at, index))
