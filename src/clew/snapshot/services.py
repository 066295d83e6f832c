"""Services of the mesh, from Kubernetes Services and from ServiceEntries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from zlib import crc32

from clew.model import service_entry as declared
from clew.model.core_service import CoreService, CoreServicePort
from clew.model.mesh_config import MeshConfig
from clew.model.service import Protocol, Resolution, Service, ServiceKey, ServicePort
from clew.model.service_entry import ServiceEntry
from clew.snapshot.export import exported_to
from clew.snapshot.labels import sorted_labels
from clew.snapshot.protocols import parse_protocol, select_protocol

EXPORT_TO = "networking.istio.io/exportTo"
DOMAIN = "cluster.local"
ALLOCATE = "networking.istio.io/enable-autoallocate-ip"
_NO_ADDRESS = ("", "None")
# Host addresses of 240.240.0.0/16, without the first and last of each 256.
_PLACES = 254 * 254

_RESOLUTION = {
    None: Resolution.PASSTHROUGH,
    declared.Resolution.NONE: Resolution.PASSTHROUGH,
    declared.Resolution.STATIC: Resolution.EDS,
    declared.Resolution.DNS: Resolution.DNS,
    declared.Resolution.DNS_ROUND_ROBIN: Resolution.DNS_ROUND_ROBIN,
    declared.Resolution.DYNAMIC_DNS: Resolution.DYNAMIC_DNS,
}


def kubernetes_service(resource: CoreService, mesh: MeshConfig) -> Service:
    """Return the service that a Kubernetes Service declares.

    Source: istio ``ConvertService``.
    """
    spec, meta = resource.spec, resource.metadata
    addresses = tuple(a for a in spec.cluster_ips or (spec.cluster_ip,) if a not in _NO_ADDRESS)
    headless = spec.cluster_ip == "None"
    export = [v for v in meta.annotations.get(EXPORT_TO, "").split(",") if v]
    resolution = Resolution.PASSTHROUGH if headless else Resolution.EDS
    if spec.type == "ExternalName":
        resolution = Resolution.ALIAS
    return Service(
        hostname=kubernetes_key(meta.name, meta.namespace).hostname,
        namespace=meta.namespace,
        name=meta.name,
        ports=tuple(_kubernetes_port(port) for port in spec.ports),
        addresses=addresses,
        resolution=resolution,
        headless=headless,
        kubernetes=True,
        export_to=exported_to(export, meta.namespace, mesh.default_service_export_to),
        created=meta.creation_timestamp,
        labels=sorted_labels(meta.labels),
        selector=sorted_labels(spec.selector) or None,
        external_name=spec.external_name,
        local_traffic_only=spec.internal_traffic_policy == "Local",
        traffic_distribution=spec.traffic_distribution,
        publish_not_ready=spec.publish_not_ready_addresses,
        source=resource.key,
    )


def kubernetes_key(name: str, namespace: str) -> ServiceKey:
    return ServiceKey(f"{name}.{namespace}.svc.{DOMAIN}", namespace)


def _kubernetes_port(port: CoreServicePort) -> ServicePort:
    protocol = select_protocol(
        app_protocol=port.app_protocol, name=port.name, transport=port.protocol, number=port.port
    )
    return ServicePort(
        name=port.name, number=port.port, protocol=protocol, target_port=port.target_port or 0
    )


def entry_services(
    resource: ServiceEntry, mesh: MeshConfig, allocated: Mapping[str, tuple[str, ...]]
) -> Iterator[Service]:
    """Yield one service per host. ``allocated``: addresses by host, for hosts that declare none."""
    spec, meta = resource.spec, resource.metadata
    ports = tuple(
        ServicePort(
            name=port.name,
            number=port.number,
            protocol=parse_protocol(port.protocol) if port.protocol else Protocol.AUTO,
            target_port=port.target_port or 0,
        )
        for port in spec.ports
    )
    for host in spec.hosts:
        own = allocated.get(host, ())
        yield Service(
            hostname=host,
            namespace=meta.namespace,
            name=meta.name,
            ports=ports,
            addresses=spec.addresses or own,
            resolution=_RESOLUTION[spec.resolution],
            mesh_external=spec.location is not declared.Location.MESH_INTERNAL,
            export_to=exported_to(spec.export_to, meta.namespace, mesh.default_service_export_to),
            created=meta.creation_timestamp,
            labels=sorted_labels(meta.labels),
            selector=sorted_labels(spec.workload_selector.labels)
            if spec.workload_selector
            else None,
            subject_alt_names=spec.subject_alt_names,
            source=resource.key,
        )


def joined(older: Service, younger: Service) -> Service:
    """Return what two declarations of one host in one namespace are together: the older one.

    Kubernetes' own service only learns names that its servers may have; an older entry that is
    resolved in the same way gets the ports and endpoints of the younger.
    """
    if older.kubernetes:
        names = dict.fromkeys((*older.subject_alt_names, *younger.subject_alt_names))
        return replace(older, subject_alt_names=tuple(names))
    same = older.resolution is younger.resolution and older.selector == younger.selector
    if not same:
        return older
    taken = {key for port in older.ports for key in (port.name, port.number)}
    added = (p for p in younger.ports if p.name not in taken and p.number not in taken)
    ports = (*older.ports, *added)
    return replace(older, ports=ports, also=(*older.also, younger.source))


def allocate_addresses(entries: Iterable[ServiceEntry]) -> dict[str, tuple[str, str]]:
    """Give an IPv4 and an IPv6 address to each host that has none but needs one for TCP.

    They are of 240.240.0.0/16 and 2001:2::/48.

    The place follows from the host's name, so that every replica allocates alike and no host
    moves when another comes; of two that want one place, the older has it.
    Source: istio's address auto-allocation.
    """
    taken: dict[int, str] = {}
    for entry in entries:
        refused = entry.metadata.labels.get(ALLOCATE, "").lower() == "false"
        unresolved = entry.spec.resolution in (None, declared.Resolution.NONE)
        if entry.spec.addresses or unresolved or refused:
            continue
        for host in entry.spec.hosts:
            place = crc32(host.encode()) % _PLACES
            while taken.get(place, host) != host:
                place = (place + 1) % _PLACES
            if not host.startswith("*"):
                taken[place] = host
    return {
        host: (f"240.240.{n // 254}.{n % 254 + 1}", f"2001:2::{n + 1:x}")
        for n, host in taken.items()
    }


def is_allocated(address: str) -> bool:
    """Tell whether an address is one of those that ``allocate_addresses`` gives out."""
    return address.startswith(("240.240.", "2001:2::"))


def service_age(service: Service) -> tuple[str, str, str, str]:
    """Sort key: the oldest service wins conflicts. No two services are equally old."""
    return (service.created, service.name, service.namespace, service.hostname)
