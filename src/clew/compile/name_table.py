"""The host names that a workload's DNS proxy answers for, with their addresses."""

from __future__ import annotations

from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.compile.memo import Memo
from clew.compile.resources import resource
from clew.model.proxy import IpFamilies
from clew.model.service import Endpoint, Health, Resolution, Service
from clew.model.xds import EnvoyResource
from clew.snapshot.scope import OutboundScope


def compile_name_table(scope: OutboundScope, memo: Memo) -> EnvoyResource:
    """Return the table of a namespace: virtual IPs, and for headless services their endpoints.

    One of type ExternalName has the name that it stands for.
    Source: istio ``BuildNameTable``.
    """
    # In the order of the services; other endpoints do not matter here.
    listed = (scope.endpoints.get(s.key, ()) for s in scope.services if _lists_endpoints(s))
    return memo.call(_table, scope.families, scope.services, *listed)


def _table(
    families: IpFamilies, services: tuple[Service, ...], *listed: tuple[Endpoint, ...]
) -> EnvoyResource:
    table, endpoints = NameTable(), iter(listed)
    for service in services:
        by_endpoints = _lists_endpoints(service)
        if service.resolution is Resolution.ALIAS:
            # Clients other than ours leave out what is no address.
            addresses = [service.external_name] if service.external_name else []
        else:
            own = _healthy(next(endpoints)) if by_endpoints else _virtual_ips(service)
            addresses = list(families.among(tuple(own)))
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


def _lists_endpoints(service: Service) -> bool:
    return service.headless and not _virtual_ips(service)


def _virtual_ips(service: Service) -> list[str]:
    return [address for address in service.addresses if "/" not in address]


def _healthy(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return list(dict.fromkeys(e.address for e in endpoints if e.health is Health.HEALTHY))
