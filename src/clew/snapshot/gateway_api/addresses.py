"""The services that Gateways are reached by, and whether these can be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clew.model.addresses import is_ip
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.service import Service
from clew.snapshot.gateway_api.classes import ClassKind
from clew.snapshot.gateway_api.conditions import Condition, Problem
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.services import DOMAIN, kubernetes_key

NAME_OVERRIDE = "gateway.istio.io/name-override"
_ADDRESS_TYPE = "networking.istio.io/address-type"
_FAILED = "Failed to assign to any requested addresses"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayServices:
    """Hostnames. ``problem``: which addresses cannot be had."""

    hostnames: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What of the ports can be reached where: ``host:port``, and what stands against the rest."""

    reached: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    addresses: tuple[dict[str, str], ...] = ()


def is_managed(gateway: KubernetesGateway) -> bool:
    """Tell whether a Gateway gets a proxy of its own, rather than one that exists.

    Source: istio ``IsManaged``.
    """
    addresses = gateway.spec.addresses
    return not addresses or (len(addresses) == 1 and addresses[0].type == "IPAddress")


def managed_name(gateway: KubernetesGateway) -> str:
    """Return what the proxy of a Gateway and its service are called."""
    default = f"{gateway.metadata.name}-{gateway.spec.gateway_class_name}"
    return gateway.metadata.annotations.get(NAME_OVERRIDE, default)


def gateway_services(gateway: KubernetesGateway) -> GatewayServices:
    """Source: istio ``extractGatewayServices``."""
    namespace = gateway.metadata.namespace
    if is_managed(gateway):
        return GatewayServices(hostnames=(kubernetes_key(managed_name(gateway), namespace)[0],))
    names = [a.value for a in gateway.spec.addresses if a.type == "Hostname"]
    skipped = [a.value for a in gateway.spec.addresses if a.type != "Hostname"]
    problem = None
    if skipped:
        text = f"only Hostname is supported, ignoring [{' '.join(skipped)}]"
        problem = Problem("UnsupportedAddress", text)
    hostnames = tuple(n if "." in n else f"{n}.{namespace}.svc.{DOMAIN}" for n in names)
    return GatewayServices(hostnames=hostnames, problem=problem)


def assign(
    gateway: KubernetesGateway,
    kind: ClassKind,
    hostnames: Iterable[str],
    ports: Iterable[int],
    sources: Sources,
) -> Assigned:
    """Return where the ports of a Gateway's listeners can be reached."""
    reached: list[str] = []
    warnings: list[str] = []
    services: list[Service] = []
    wanted = sorted(set(ports))
    for hostname in hostnames:
        service = sources.service(hostname, gateway.metadata.namespace)
        if service is None:
            warnings.append(f'hostname "{hostname}" not found')
            continue
        known = [port for port in wanted if service.port(port) is not None]
        reached += [f"{hostname}:{port}" for port in known]
        warnings += [_no_port(port, service) for port in wanted if port not in known]
        if known:
            services.append(service)
    return Assigned(
        reached=tuple(sorted(reached)),
        warnings=tuple(warnings),
        addresses=_addresses(gateway, kind, services, sources),
    )


def _no_port(port: int, service: Service) -> str:
    text = f'port {port} not found for hostname "{service.hostname}"'
    meant = [p.number for p in service.ports if p.target_port == port]
    if meant:
        text += (
            " (hint: the service port should be specified, not the workload port. "
            f"Did you mean one of these ports: {meant}?)"
        )
    return text


def _addresses(
    gateway: KubernetesGateway, kind: ClassKind, services: Sequence[Service], sources: Sources
) -> tuple[dict[str, str], ...]:
    """Addresses of load balancers, else the services' own names or addresses."""
    found = [each for service in services for each in _external(service, sources)]
    if not found:
        default = "Hostname" if kind.hostname_address else "IPAddress"
        if gateway.metadata.annotations.get(_ADDRESS_TYPE, default) == "IPAddress":
            found = [address for service in services for address in service.addresses]
        else:
            found = [service.hostname for service in services]
    return tuple(
        {"type": "IPAddress" if is_ip(value) else "Hostname", "value": value}
        for value in dict.fromkeys(found)
    )


def _external(service: Service, sources: Sources) -> list[str]:
    declared = sources.core_service(service.name, service.namespace)
    if declared is None or not service.kubernetes:
        return []
    return [*load_balancer_addresses(declared.status), *declared.spec.external_ips]


def load_balancer_addresses(status: Any) -> list[str]:
    """Return the addresses that a Service's status says it is published at."""
    balancer = status.get("loadBalancer") if isinstance(status, dict) else None
    ingress = balancer.get("ingress") if isinstance(balancer, dict) else None
    entries = [each for each in ingress if isinstance(each, dict)] if ingress else []
    return [value for each in entries if (value := each.get("ip") or each.get("hostname"))]


def programmed(services: GatewayServices, assigned: Assigned) -> Condition:
    """Return whether proxies serve the listeners. Source: istio ``setProgrammedCondition``."""
    if services.problem is not None:
        return Condition("Programmed", False, services.problem.reason, _FAILED)
    reached, warnings = " and ".join(assigned.reached), "; ".join(assigned.warnings)
    if not services.hostnames:
        return Condition("Programmed", False, "AddressNotUsable", _FAILED)
    if not warnings:
        text = f"Resource programmed, assigned to service(s) {reached}"
        return Condition("Programmed", True, "Programmed", text)
    text = f"{_FAILED}: {warnings}"
    if reached:
        text = (
            f"Assigned to service(s) {reached}, but failed to assign to all requested "
            f"addresses: {warnings}"
        )
    return Condition("Programmed", False, "AddressNotUsable", text)
