"""Filters whose configuration Envoy fetches by name, so that a policy changes no listener.

A new listener would only be for new connections, and long-lived ones would go by the old policy
until they are drained. What is fetched counts for the next request on every connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as PackedMessage
from google.protobuf.message import Message

from clew._pb.envoy.config.core.v3.config_source_pb2 import ApiVersion, ExtensionConfigSource
from clew._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from clew._pb.envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication
from clew._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRBAC
from clew._pb.envoy.extensions.filters.network.ext_authz.v3.ext_authz_pb2 import (
    ExtAuthz as NetworkExtAuthz,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRBAC
from clew.compile.denial_reasons import explain_denials
from clew.compile.inbound_listeners import BLACK_HOLE_CHAIN
from clew.compile.memo import Memo
from clew.compile.policy_filters import (
    ALLOW,
    DENY,
    EXTERNAL,
    HTTP_FILTERS,
    NETWORK_FILTERS,
    TOKENS,
    http_configs,
    network_configs,
)
from clew.compile.rbac import NETWORK_STATS
from clew.compile.resources import resource
from clew.compile.typed_config import typed_config
from clew.model.xds import EXTENSION, LISTENER, EnvoyResource, Published
from clew.snapshot.scope import GatewayScope, InboundScope, ProxyScope

HttpFilter = hcm_pb2.HttpFilter
_MANAGER = "envoy.filters.network.http_connection_manager"
# Source: Istio's order of filters.
_HTTP_FOLLOWING = frozenset(
    f"envoy.filters.http.{name}"
    for name in ("grpc_web", "grpc_stats", "set_filter_state", "fault", "cors", "router")
)
_NETWORK_FOLLOWING = frozenset(
    f"envoy.filters.network.{name}" for name in ("mongo_proxy", "tcp_proxy")
)

# What passes everything, for a name under which there is nothing to enforce: a configuration
# that went away would be an error to the requests of connections that still ask for it.
_HTTP_NOTHING: Mapping[str, Message] = {
    name: JwtAuthentication() if name == TOKENS else HttpRBAC() for name in HTTP_FILTERS
}
_NETWORK_NOTHING: Mapping[str, Message] = {
    name: NetworkRBAC(stat_prefix=NETWORK_STATS) for name in NETWORK_FILTERS
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Configs:
    """What policies ask for, by name, and everything that can be fetched."""

    http: Mapping[str, PackedMessage]
    network: Mapping[str, PackedMessage]
    resources: Mapping[str, EnvoyResource]


def with_fetched_configs(
    published: Published, scope: ProxyScope, serving: Iterable[str], memo: Memo
) -> Published:
    """Return what a proxy gets with the policies' filters beside the listeners in ``serving``."""
    found = scope.inbound or scope.gateway
    if found is None:
        return published
    configs = memo.call(_configs, found)
    listeners = dict(published[LISTENER])
    for name in serving:
        if name in listeners:
            listeners[name] = memo.call(_referring, listeners[name], configs, scope.proxy.explains)
    extensions = {**published.get(EXTENSION, {}), **configs.resources}
    return {**published, LISTENER: listeners, EXTENSION: extensions}


def _configs(scope: InboundScope | GatewayScope) -> Configs:
    router = isinstance(scope, GatewayScope)
    http = dict(http_configs(scope.authorization, scope.token_rules, scope.mesh, router=router))
    network = dict(network_configs(scope.authorization, scope.mesh))
    resources = [
        *(_resource(http_name(n), http.get(n), nothing) for n, nothing in _HTTP_NOTHING.items()),
        *(
            _resource(network_name(n), network.get(n), nothing)
            for n, nothing in _NETWORK_NOTHING.items()
        ),
    ]
    return Configs(http=http, network=network, resources={each.name: each for each in resources})


def http_name(name: str) -> str:
    """``clew.http.deny``: the filter's name, and that of its configuration."""
    return f"clew.http.{name}"


def network_name(name: str) -> str:
    return f"clew.network.{name}"


def _resource(name: str, config: PackedMessage | None, nothing: Message) -> EnvoyResource:
    packed = config if config is not None else typed_config(nothing)
    message = TypedExtensionConfig(name=name, typed_config=packed)
    return resource(name, message, uses=extension_clusters(packed))


def extension_clusters(config: PackedMessage) -> frozenset[str]:
    """The clusters that a filter calls by itself."""
    http, network, tokens = ExtAuthz(), NetworkExtAuthz(), JwtAuthentication()
    found: set[str] = set()
    if config.Unpack(http):
        found |= {http.http_service.server_uri.cluster, http.grpc_service.envoy_grpc.cluster_name}
    elif config.Unpack(network):
        found.add(network.grpc_service.envoy_grpc.cluster_name)
    elif config.Unpack(tokens):
        found |= {each.remote_jwks.http_uri.cluster for each in tokens.providers.values()}
    return frozenset(found - {""})


def _referring(before: EnvoyResource, configs: Configs, explains: bool) -> EnvoyResource:
    """A listener whose filters for policies say where their configuration is."""
    listener = Listener.FromString(before.body)
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    for chain in chains:
        if chain.name != BLACK_HOLE_CHAIN:
            _refer(chain, configs, explains)
    return resource(before.name, listener, uses=before.uses, sources=before.sources)


def _refer(chain: FilterChain, configs: Configs, explains: bool) -> None:
    managers = [each for each in chain.filters if each.name == _MANAGER]
    for each in managers:
        manager = hcm_pb2.HttpConnectionManager()
        if each.typed_config.Unpack(manager):
            _refer_requests(manager, configs)
            if explains:
                explain_denials(manager)
            each.typed_config.CopyFrom(typed_config(manager))
    if not managers:
        _refer_connections(chain, configs)


def _refer_requests(manager: hcm_pb2.HttpConnectionManager, configs: Configs) -> None:
    names = _names([*manager.http_filters], HTTP_FILTERS, configs.http)
    if names is not None:
        filters = _http_filters([*manager.http_filters], names)
        del manager.http_filters[:]
        manager.http_filters.extend(filters)


def _refer_connections(chain: FilterChain, configs: Configs) -> None:
    names = _names([*chain.filters], NETWORK_FILTERS, configs.network)
    if names is not None:
        filters = _network_filters([*chain.filters], names)
        del chain.filters[:]
        chain.filters.extend(filters)


def _names(
    filters: Sequence[Filter] | Sequence[HttpFilter],
    known: Mapping[str, str],
    configs: Mapping[str, PackedMessage],
) -> list[str] | None:
    """Return the name of each filter's configuration, "" if it is none of ours.

    None: an EnvoyFilter has changed one of them, so it stays as it is, and so do the others.
    """
    by_bytes = {config.SerializeToString(): name for name, config in configs.items()}
    found = [by_bytes.get(each.typed_config.SerializeToString(), "") for each in filters]
    ours = [each.name in known.values() for each in filters]
    same = [bool(name) for name in found] == ours and len(set(found) - {""}) == len(configs)
    return found if same else None


def _http_filters(filters: Sequence[HttpFilter], names: Sequence[str]) -> list[HttpFilter]:
    own = [each.name for each in filters]
    return [
        filters[place] if place is not None else _fetched_http(name)
        for place, name in _places(names, own, _HTTP_FOLLOWING)
    ]


def _network_filters(filters: Sequence[Filter], names: Sequence[str]) -> list[Filter]:
    own = [each.name for each in filters]
    return [
        filters[place] if place is not None else _fetched_network(name)
        for place, name in _places(names, own, _NETWORK_FOLLOWING)
    ]


def _places(
    names: Sequence[str], filters: Sequence[str], following: Set[str]
) -> list[tuple[int | None, str]]:
    """Which filter comes where: one that is there already, or one by name.

    DENY and ALLOW are in every chain, so that the first policy of all counts at once, too. The
    others come and go with the first and the last policy that needs them. ``following``: what
    comes after policies wherever there are some.
    """
    found: list[tuple[int | None, str]] = [
        (None, name) if name else (place, "") for place, name in enumerate(names)
    ]
    if DENY not in names:
        earlier = [place for place, name in enumerate(names) if name not in ("", ALLOW)]
        later = (p for p, name in enumerate(filters) if names[p] == ALLOW or name in following)
        found.insert(earlier[-1] + 1 if earlier else next(later, 0), (None, DENY))
    if ALLOW not in names:
        found.insert(found.index((None, DENY)) + 1, (None, ALLOW))
    return found


def _fetched_http(name: str) -> HttpFilter:
    kinds = (ExtAuthz, HttpRBAC) if name == EXTERNAL else (type(_HTTP_NOTHING[name]),)
    return HttpFilter(name=http_name(name), config_discovery=_source(kinds))


def _fetched_network(name: str) -> Filter:
    kinds = (NetworkExtAuthz, NetworkRBAC) if name == EXTERNAL else (NetworkRBAC,)
    return Filter(name=network_name(name), config_discovery=_source(kinds))


def _source(kinds: Iterable[type[Message]]) -> ExtensionConfigSource:
    source = ExtensionConfigSource(
        type_urls=[f"type.googleapis.com/{kind.DESCRIPTOR.full_name}" for kind in kinds]
    )
    source.config_source.ads.SetInParent()
    source.config_source.resource_api_version = ApiVersion.V3
    # Zero is without limit: a listener without its policies would refuse everything.
    source.config_source.initial_fetch_timeout.SetInParent()
    return source
