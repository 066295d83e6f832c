"""The host names that a workload's DNS proxy answers for, with their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.compile.memo import Memo
from clew.compile.resources import resource
from clew.model.proxy import IpFamilies
from clew.model.service import Endpoint, Health, Resolution, Service
from clew.model.xds import EnvoyResource
from clew.snapshot.scope import OutboundScope


def compile_name_table(scope: OutboundScope, memo: Memo) -> EnvoyResource:
    """Return the table of a namespace: virtual IPs, and for headless services their endpoints.

    Pods of a headless service are found by their own names too.
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
        members = next(endpoints) if _lists_endpoints(service) else ()
        for hostname, addresses in names_of(service, members):
            # Clients other than ours leave out what is no address.
            aliased = service.resolution is Resolution.ALIAS
            usable = addresses if aliased else families.among(tuple(addresses))
            if usable:
                table.table[hostname].CopyFrom(_entry(service, hostname, usable))
    return resource("names", table)


def names_of(
    service: Service, members: tuple[Endpoint, ...]
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the names of a service with their addresses; pods of a headless one have their own."""
    if service.resolution is Resolution.ALIAS:
        yield service.hostname, [service.external_name] if service.external_name else []
        return
    if not _lists_endpoints(service):
        yield service.hostname, _virtual_ips(service)
        return
    yield service.hostname, _healthy(members)
    for hostname in dict.fromkeys(e.hostname for e in members if e.hostname):
        yield (
            f"{hostname}.{service.hostname}",
            _healthy(tuple(e for e in members if e.hostname == hostname)),
        )


def _entry(service: Service, hostname: str, addresses: Iterable[str]) -> NameTable.NameInfo:
    short = hostname.removesuffix(service.hostname) + service.name
    return NameTable.NameInfo(
        ips=addresses,
        registry="Kubernetes" if service.kubernetes else "External",
        shortname=short if service.kubernetes else "",
        namespace=service.namespace if service.kubernetes else "",
    )


def _lists_endpoints(service: Service) -> bool:
    return service.headless and not _virtual_ips(service)


def _virtual_ips(service: Service) -> list[str]:
    return [address for address in service.addresses if "/" not in address]


def _healthy(endpoints: tuple[Endpoint, ...]) -> list[str]:
    healthy = [e for e in endpoints if e.health is Health.HEALTHY]
    return list(dict.fromkeys(a for e in healthy for a in (e.address, *e.more_addresses)))
