"""What objects name that the mesh does not have: gateways, hosts, subsets, what clew can carry.

None of it keeps an object from being accepted, as in Istio: what is missing may come later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clew.model.core_service import CoreService
from clew.model.destination_rule import DestinationRule
from clew.model.diagnostic import Diagnostic
from clew.model.service import Protocol
from clew.model.status import HOST_NOT_IN_GATEWAY, REFERENCE_NOT_FOUND, object_warning
from clew.model.virtual_service import Delegate, Destination, VirtualService
from clew.snapshot.destination_rules import rule_host
from clew.snapshot.export import visible
from clew.snapshot.gateway_api.deployment import MANAGED
from clew.snapshot.hosts import covers, is_wildcard, overlap
from clew.snapshot.objects import objects_of
from clew.snapshot.rule_index import export_of
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.virtual_services import MESH


class _Reference(NamedTuple):
    field: str
    destination: Destination


def unknown_gateways(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the VirtualServices that name a Gateway which does not exist."""
    known = {f"{g.metadata.namespace}/{g.metadata.name}" for g in snapshot.gateways}
    for rule in _written(snapshot):
        for place, name in enumerate(rule.spec.gateways):
            if name != MESH and name not in known:
                yield object_warning(
                    rule.key,
                    f'there is no Gateway "{name}": through it the routes are not in force',
                    field=f"spec.gateways[{place}]",
                    code=REFERENCE_NOT_FOUND,
                )


def hosts_outside_gateways(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the VirtualServices of whose hosts their Gateway has none."""
    hosts = {
        f"{g.metadata.namespace}/{g.metadata.name}": [
            host.rpartition("/")[2].lower() for server in g.spec.servers for host in server.hosts
        ]
        for g in snapshot.gateways
    }
    for rule in _written(snapshot):
        for name in rule.spec.gateways:
            offered = hosts.get(name)
            wanted = [host.lower() for host in rule.spec.hosts]
            if offered is None or any(overlap(o, w) for o in offered for w in wanted):
                continue
            yield object_warning(
                rule.key,
                f"Gateway {name} has none of the hosts {', '.join(rule.spec.hosts)}",
                field="spec.hosts",
                code=HOST_NOT_IN_GATEWAY,
                hint=f"it has {', '.join(dict.fromkeys(offered))}",
            )


def unknown_destinations(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the routes to hosts, subsets and ports that do not exist."""
    subsets: dict[str, set[str]] = {}
    for declared in objects_of(DestinationRule, snapshot.objects):
        names = {subset.name for subset in declared.spec.subsets}
        subsets.setdefault(rule_host(declared), set()).update(names)
    wildcards = [host for host in snapshot.services.by_host if is_wildcard(host)]
    wide = {host: names for host, names in subsets.items() if is_wildcard(host)}
    for rule in _written(snapshot):
        for field, destination in dict.fromkeys(_references(rule)):
            if problem := _missing(destination, snapshot, wildcards, subsets, wide):
                yield object_warning(rule.key, problem, field=field, code=REFERENCE_NOT_FOUND)


def unknown_delegates(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the routes that are delegated to a VirtualService which cannot take them."""
    for rule in _written(snapshot):
        for index, route in enumerate(rule.spec.http):
            if route.delegate is not None and (
                problem := _refusal(route.delegate, rule.metadata.namespace, snapshot)
            ):
                yield object_warning(
                    rule.key,
                    f"{problem}: the route is left out",
                    field=f"spec.http[{index}].delegate",
                    code=REFERENCE_NOT_FOUND,
                )


def _refusal(delegate: Delegate, own: str, snapshot: MeshSnapshot) -> str:
    place = (delegate.namespace or own, delegate.name)
    name = f'VirtualService "{"/".join(place)}"'
    found = snapshot.virtual_services.delegates.get(place)
    if found is None:
        exists = place[1] in snapshot.objects.get(VirtualService, {}).get(place[0], {})
        return f"{name} has hosts, so it is no delegate" if exists else f"there is no {name}"
    if not visible(export_of(found, snapshot.mesh), own):
        return f"{name} is not exported to {own}"
    return ""


def unknown_rule_hosts(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the DestinationRules that no service is the host of."""
    known = snapshot.services.by_host
    for rule in objects_of(DestinationRule, snapshot.objects):
        host = rule_host(rule)
        if host in known or any(covers(w, host) for w in known if is_wildcard(w)):
            continue
        if is_wildcard(host) and any(covers(host, other) for other in known):
            continue
        problem = f'there is no service "{host}", so the rule has no effect'
        yield object_warning(rule.key, problem, field="spec.host", code=REFERENCE_NOT_FOUND)


def ports_without_proxy(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the ports of a protocol that Envoy is not asked to carry."""
    found = [
        (service.source, port.number, "UDP")
        for service in snapshot.services.ordered
        for port in service.ports
        if port.protocol is Protocol.UDP and MANAGED not in dict(service.labels)
    ]
    found += [
        (declared.key, port.port, port.protocol)
        for declared in objects_of(CoreService, snapshot.objects)
        for port in declared.spec.ports
        if port.protocol not in ("TCP", "UDP")
    ]
    for key, number, protocol in dict.fromkeys(found):
        problem = f"port {number} is {protocol}: sidecars do not carry it, it goes past them"
        yield object_warning(key, problem, field="spec.ports")


def _written(snapshot: MeshSnapshot) -> Iterable[VirtualService]:
    """The VirtualServices that people wrote, with full names."""
    rules = snapshot.virtual_services.resolved
    written = (rule.key for rule in objects_of(VirtualService, snapshot.objects))
    return (rules[key] for key in written if key in rules)


def _references(rule: VirtualService) -> Iterator[_Reference]:
    for index, http in enumerate(rule.spec.http):
        for place, to in enumerate(http.route):
            yield _Reference(f"spec.http[{index}].route[{place}].destination", to.destination)
        if http.mirror is not None:
            yield _Reference(f"spec.http[{index}].mirror", http.mirror)
        for place, mirror in enumerate(http.mirrors):
            field = f"spec.http[{index}].mirrors[{place}].destination"
            yield _Reference(field, mirror.destination)
    l4 = (("tls", [r.route for r in rule.spec.tls]), ("tcp", [r.route for r in rule.spec.tcp]))
    for name, routes in l4:
        for index, splits in enumerate(routes):
            for place, split in enumerate(splits):
                field = f"spec.{name}[{index}].route[{place}].destination"
                yield _Reference(field, split.destination)


def _missing(
    destination: Destination,
    snapshot: MeshSnapshot,
    wildcards: Iterable[str],
    subsets: dict[str, set[str]],
    wide: dict[str, set[str]],
) -> str:
    """What of a destination does not exist, "" if all of it does.

    ``subsets``: by the host of their rules, ``wide`` those whose host is a wildcard.
    """
    host, subset, port = destination.host, destination.subset, destination.port
    services = snapshot.services.by_host.get(host, ())
    if not services and not any(covers(wildcard, host) for wildcard in wildcards):
        return f'there is no service "{host}": requests for it get 503'
    known = subset in subsets.get(host, ()) if subset else True
    if not known and not any(subset in wide[rule] for rule in wide if covers(rule, host)):
        return f'no DestinationRule has the subset "{subset}" of {host}: requests for it get 503'
    number = port.number if port is not None else None
    if services and number and not any(service.port(number) for service in services):
        return f"{host} has no port {number}: requests for it get 503"
    return ""
