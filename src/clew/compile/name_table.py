"""The host names that a workload's DNS proxy answers for, with their addresses."""

from __future__ import annotations

from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.compile.resources import resource
from clew.model.service import Endpoint, Health, Service
from clew.model.xds import EnvoyResource
from clew.snapshot.scope import OutboundScope


def compile_name_table(scope: OutboundScope) -> EnvoyResource:
    """Return the table of a namespace: virtual IPs, and for headless services their endpoints.

    Source: istio ``BuildNameTable``.
    """
    table = NameTable()
    for service in scope.services:
        addresses = _addresses(service, scope.endpoints.get(service.key, ()))
        if addresses:
            table.table[service.hostname].CopyFrom(
                NameTable.NameInfo(
                    ips=addresses,
                    registry="Kubernetes" if service.kubernetes else "External",
                    shortname=service.name if service.kubernetes else "",
                    namespace=service.namespace if service.kubernetes else "",
                )
            )
    return resource("names", table)


def _addresses(service: Service, endpoints: tuple[Endpoint, ...]) -> list[str]:
    fixed = [address for address in service.addresses if "/" not in address]
    if fixed or not service.headless:
        return fixed
    return list(dict.fromkeys(e.address for e in endpoints if e.health is Health.HEALTHY))
