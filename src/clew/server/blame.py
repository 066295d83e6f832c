"""Which object is to blame for what a proxy did with a request: looked up in what the proxy has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from clew._pb.envoy.config.core.v3.base_pb2 import Metadata
from clew._pb.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.api.explanations import Explanation
from clew.model.authorization_policy import AuthorizationAction, AuthorizationPolicy
from clew.model.base import Resource
from clew.model.request_authentication import RequestAuthentication
from clew.model.response_flags import Cause, meanings
from clew.model.xds import CLUSTER, ROUTE, EnvoyResource, Published
from clew.snapshot.authorization_policies import action_of, is_dry_run

# Source: Istio's names of policies, in Envoy's details.
_POLICY = re.compile(r"\[ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[")
_VIRTUAL_SERVICE = re.compile(r"/namespaces/([^/]+)/virtual-service/([^/]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an access log says of one. "" is what it says nothing of.

    ``details``: of the response's code. ``authority``: the host that was asked for.
    """

    flags: tuple[str, ...] = ()
    details: str = ""
    route: str = ""
    cluster: str = ""
    authority: str = ""


def explanations(
    request: Request, published: Published, policies: Iterable[Resource]
) -> tuple[Explanation, ...]:
    """Say why the proxy did not let a request through, or the response.

    ``published``: what the proxy has. ``policies``: the objects that have a say in it.
    """
    known = meanings(request.flags, request.details)
    if not known:
        return ()
    every = tuple(policies)
    return tuple(
        Explanation(
            flag=flag,
            says=meaning.says,
            hint=meaning.hint,
            objects=tuple(
                dict.fromkeys(
                    each
                    for cause in meaning.causes
                    for each in _blamed(cause, request, published, every)
                )
            ),
        )
        for flag, meaning in known.items()
    )


def _blamed(
    cause: Cause, request: Request, published: Published, policies: tuple[Resource, ...]
) -> Iterable[str]:
    match cause:
        case Cause.ROUTE:
            return _route_objects(request, published.get(ROUTE, {}))
        case Cause.UPSTREAM:
            cluster = published.get(CLUSTER, {}).get(request.cluster)
            sources = cluster.sources if cluster is not None else ()
            return sorted(each for each in sources if each.startswith("DestinationRule "))
        case Cause.DENIAL:
            named = _POLICY.search(request.details)
            if named is not None:
                return [f"AuthorizationPolicy {named[1]}/{named[2]}"]
            return _with_action(policies, AuthorizationAction.ALLOW)
        case Cause.AUTHORIZER:
            return _with_action(policies, AuthorizationAction.CUSTOM)
        case Cause.TOKEN:
            return [str(each.key) for each in policies if isinstance(each, RequestAuthentication)]


def _with_action(policies: Iterable[Resource], action: AuthorizationAction) -> list[str]:
    return [
        str(each.key)
        for each in policies
        if isinstance(each, AuthorizationPolicy)
        and action_of(each) is action
        and not is_dry_run(each)
    ]


def _route_objects(request: Request, routes: Mapping[str, EnvoyResource]) -> list[str]:
    """The VirtualService of the route that was taken; of all routes of the host if none was."""
    found: dict[str, None] = {}
    for host in _virtual_hosts(request, routes):
        named = [each for each in host.routes if _is_it(each, request)]
        for route in named or ([] if request.route else host.routes):
            if source := _virtual_service(route.metadata):
                found[source] = None
    return list(found)


def _virtual_hosts(request: Request, routes: Mapping[str, EnvoyResource]) -> Iterator[VirtualHost]:
    """Those that have the host among their domains, in the tables that may be meant."""
    port = request.cluster.split("|")[1] if request.cluster.count("|") == 3 else ""
    asked = request.authority.lower()
    bare = asked.rpartition(":")[0] if asked.rpartition(":")[2].isdecimal() else asked
    for name, table in routes.items():
        if port and name.isdecimal() and name != port:
            continue
        # Cheaper than to read tables of thousands of hosts, in which it is not.
        if bare.encode() not in table.body and b"*" not in table.body:
            continue
        hosts = RouteConfiguration.FromString(table.body).virtual_hosts
        exact = [each for each in hosts if asked in each.domains or bare in each.domains]
        # A table of one service takes every host, at the addresses of that service.
        of_one = ":" in name and name.rpartition(":")[0] not in request.cluster
        wild = [] if of_one else [each for each in hosts if _is_wild(each.domains, bare)]
        yield from exact or wild


def _is_wild(domains: Iterable[str], host: str) -> bool:
    return any(
        domain == "*" or (domain.startswith("*") and host.endswith(domain[1:]))
        for domain in domains
    )


def _is_it(route: Route, request: Request) -> bool:
    """Routes without a name of their own are told apart by where they lead."""
    if request.route:
        return route.name == request.route
    action = route.route
    targets = [action.cluster, *(each.name for each in action.weighted_clusters.clusters)]
    return bool(request.cluster) and request.cluster in targets


def _virtual_service(metadata: Metadata) -> str:
    path = metadata.filter_metadata["istio"].fields["config"].string_value
    found = _VIRTUAL_SERVICE.search(path)
    return f"VirtualService {found[1]}/{found[2]}" if found else ""
