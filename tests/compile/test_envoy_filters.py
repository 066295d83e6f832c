"""What EnvoyFilters make of a proxy's resources, operation by operation and match by match."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew.compile.config_dump import config_dump
from clew.compile.envoy_filter.merge import merge
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import EXTENSION, LISTENER, Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.compile.meshes import REVIEWS, SERVICE
from tests.manifests import resources_of

Dump = dict[str, list[dict[str, Any]]]
TYPE = "type.googleapis.com/envoy.extensions.filters"
BUFFER = {"@type": f"{TYPE}.http.buffer.v3.Buffer", "max_request_bytes": 5}
LIMIT = {"@type": f"{TYPE}.network.connection_limit.v3.ConnectionLimit", "stat_prefix": "x"}
PROXY_PROTOCOL = {"@type": f"{TYPE}.listener.proxy_protocol.v3.ProxyProtocol"}
HCM = "envoy.filters.network.http_connection_manager"
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews, shop.example.com]
  gateways: [mesh, gateway]
  http:
    - {name: moved, match: [{uri: {prefix: /old}}], redirect: {uri: /new}}
    - {name: fixed, match: [{uri: {prefix: /ok}}], directResponse: {status: 200}}
    - {name: main, route: [{destination: {host: reviews, subset: v1, port: {number: 80}}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {app: app}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
    - port: {number: 443, name: web, protocol: HTTPS}
      hosts: [shop.example.com]
      tls: {mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem}
"""
SIDECAR = Proxy(
    type=ProxyType.SIDECAR,
    name="app",
    namespace="default",
    ip="10.0.0.1",
    labels=(("app", "app"),),
    version="1.31.0",
    metadata=(("CLUSTER_ID", "Kubernetes"),),
)
ROUTER = replace(SIDECAR, type=ProxyType.ROUTER, ip="10.0.0.9")


def patch(kind: str, operation: str, value: Any = None, **match: Any) -> dict[str, Any]:
    filter_class = match.pop("filter_class", None)
    what = {"operation": operation, "value": value, "filterClass": filter_class}
    patch = {key: item for key, item in what.items() if item is not None}
    return {"applyTo": kind, "match": match, "patch": patch}


def published(*patches: dict[str, Any], proxy: Proxy = SIDECAR, **spec: Any) -> Published:
    return with_filters({"configPatches": list(patches), **spec}, proxy=proxy)


def with_filters(*specs: dict[str, Any], proxy: Proxy = SIDECAR, **meta: Any) -> Published:
    """What the proxy gets; the first filter is the oldest."""
    filters = [
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {
                "name": f"f{index}",
                "namespace": spec.pop("namespace", "default"),
                "creationTimestamp": f"2024-01-0{index + 1}T00:00:00Z",
            },
            "spec": spec,
        }
        for index, spec in enumerate(specs)
    ]
    texts = [SERVICE, ROUTES, *map(json.dumps, filters)]
    scope = build_scope(build_snapshot(resources_of("\n---\n".join(texts))), proxy)
    return compile_proxy(scope, Memo())


def dump(*patches: dict[str, Any], **about: Any) -> Dump:
    return config_dump(published(*patches, **about))


def named(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [one] = [each for each in found if each["name"] == name]
    return one


def chains(found: Dump, listener: str = "virtualInbound") -> list[dict[str, Any]]:
    return list(named(found["listeners"], listener)["filter_chains"])


def http_filters(found: Dump, listener: str = "0.0.0.0_80") -> list[str]:
    """The names of the HTTP filters of the listener's first chain that has some."""
    for chain in chains(found, listener):
        for each in chain["filters"]:
            if each["name"] == HCM:
                return [f["name"] for f in each["typed_config"]["http_filters"]]
    return []


def http(sub_filter: str = "", **listener: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": HCM}
    if sub_filter:
        found["subFilter"] = {"name": sub_filter}
    return {"filterChain": {"filter": found}, **listener}


def own(name: str = "ours", config: dict[str, Any] = BUFFER) -> dict[str, Any]:
    return {"name": name, "typed_config": config}


proves = pytest.mark.proves
_FAULT, _CORS, _ROUTER = (f"envoy.filters.http.{n}" for n in ("fault", "cors", "router"))


@proves(
    "EnvoyConfigObjectPatch.applyTo=HTTP_FILTER",
    "Patch.operation=INSERT_FIRST",
    "Patch.operation=INSERT_BEFORE",
    "Patch.operation=INSERT_AFTER",
    "Patch.operation=ADD",
    "Patch.value",
    "FilterMatch.name",
    "FilterMatch.subFilter",
    "SubFilterMatch.name",
    "EnvoyConfigObjectMatch.listener",
    "Patch.filterClass=UNSPECIFIED",
    "EnvoyConfigObjectPatch.match",
    "EnvoyConfigObjectPatch.patch",
    "EnvoyFilterSpec.configPatches",
)
@pytest.mark.parametrize(
    ("operation", "beside", "expected"),
    [
        ("INSERT_FIRST", "", ["ours", _FAULT, _CORS, _ROUTER]),
        ("INSERT_BEFORE", "", ["ours", _FAULT, _CORS, _ROUTER]),
        ("INSERT_BEFORE", _CORS, [_FAULT, "ours", _CORS, _ROUTER]),
        ("INSERT_BEFORE", "envoy.router", [_FAULT, _CORS, "ours", _ROUTER]),
        ("INSERT_AFTER", _FAULT, [_FAULT, "ours", _CORS, _ROUTER]),
        # Nothing may come behind the router.
        ("ADD", "", [_FAULT, _CORS, "ours", _ROUTER]),
        ("INSERT_AFTER", "", [_FAULT, _CORS, "ours", _ROUTER]),
        ("INSERT_BEFORE", "nobody", [_FAULT, _CORS, _ROUTER]),
        # Filters of Istio alone are places, too.
        ("INSERT_BEFORE", "istio.metadata_exchange", ["ours", _FAULT, _CORS, _ROUTER]),
        ("INSERT_AFTER", "istio.metadata_exchange", ["ours", _FAULT, _CORS, _ROUTER]),
        ("INSERT_AFTER", "istio.alpn", ["ours", _FAULT, _CORS, _ROUTER]),
        ("INSERT_BEFORE", "istio.stats", [_FAULT, _CORS, "ours", _ROUTER]),
        ("INSERT_AFTER", "istio.stats", [_FAULT, _CORS, "ours", _ROUTER]),
        ("INSERT_BEFORE", "envoy.filters.http.rbac", ["ours", _FAULT, _CORS, _ROUTER]),
    ],
)
def test_an_http_filter_is_put_where_the_patch_says(
    operation: str, beside: str, expected: list[str]
) -> None:
    assert http_filters(dump(patch("HTTP_FILTER", operation, own(), listener=http(beside)))) == (
        expected
    )


@proves("Patch.operation=REPLACE", "Patch.operation=REMOVE")
def test_an_http_filter_is_replaced_or_removed() -> None:
    replaced = dump(patch("HTTP_FILTER", "REPLACE", own(), listener=http(_CORS)))
    assert http_filters(replaced) == [_FAULT, "ours", _ROUTER]
    removed = dump(patch("HTTP_FILTER", "REMOVE", listener=http(_CORS)))
    assert http_filters(removed) == [_FAULT, _ROUTER]


@proves("Patch.filterClass=AUTHN", "Patch.filterClass=AUTHZ", "Patch.filterClass=STATS")
def test_filters_of_a_class_are_added_in_istios_order() -> None:
    added = [
        patch("HTTP_FILTER", "ADD", own(name), filter_class=of, listener=http())
        for name, of in (("last", None), ("s", "STATS"), ("z", "AUTHZ"), ("n", "AUTHN"))
    ]
    assert http_filters(dump(*added)) == ["n", "z", _FAULT, _CORS, "s", "last", _ROUTER]


@proves(
    "Patch.operation=MERGE",
    "Patch.operation=MERGE_AND_REPLACE_LIST",
    "EnvoyConfigObjectPatch.applyTo=NETWORK_FILTER",
)
def test_lists_grow_when_merged_unless_they_are_to_be_replaced() -> None:
    config = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "upgrade_configs": [{"upgrade_type": "CONNECT"}],
        "stream_idle_timeout": "5s",
    }

    def upgrades(operation: str) -> list[str]:
        found = dump(patch("NETWORK_FILTER", operation, {"typed_config": config}, listener=http()))
        [manager] = chains(found, "0.0.0.0_80")[0]["filters"]
        assert manager["typed_config"]["stream_idle_timeout"] == "5s"
        assert manager["name"] == HCM
        return [each["upgrade_type"] for each in manager["typed_config"]["upgrade_configs"]]

    assert upgrades("MERGE") == ["websocket", "CONNECT"]
    assert upgrades("MERGE_AND_REPLACE_LIST") == ["CONNECT"]


def test_a_configuration_of_another_type_is_not_merged() -> None:
    found = published(patch("HTTP_FILTER", "MERGE", own(""), listener=http(_CORS)))
    assert found == published()


def test_a_duration_is_replaced_as_a_whole() -> None:
    into, value = Cluster(), Cluster()
    into.connect_timeout.FromJsonString("1.5s")
    value.connect_timeout.FromJsonString("2s")
    merge(into, value)
    assert MessageToDict(into) == {"connectTimeout": "2s"}


def test_a_choice_is_made_anew() -> None:
    into, value = Cluster(), Cluster()
    into.ring_hash_lb_config.minimum_ring_size.value = 5
    value.maglev_lb_config.SetInParent()
    merge(into, value)
    assert into.WhichOneof("lb_config") == "maglev_lb_config"


def test_without_a_patch_that_matches_every_byte_stays() -> None:
    nothing = patch("LISTENER", "REMOVE", listener={"name": "nobody"})
    assert published(nothing) == published()


@proves(
    "EnvoyConfigObjectMatch.context=ANY",
    "EnvoyConfigObjectMatch.context=SIDECAR_INBOUND",
    "EnvoyConfigObjectMatch.context=SIDECAR_OUTBOUND",
    "EnvoyConfigObjectMatch.context=GATEWAY",
)
@pytest.mark.parametrize(
    ("context", "inbound", "outbound", "gateway"),
    [
        ("ANY", True, True, True),
        ("SIDECAR_INBOUND", True, False, False),
        ("SIDECAR_OUTBOUND", False, True, False),
        ("GATEWAY", False, False, True),
    ],
)
def test_a_patch_applies_in_its_context(
    context: str, inbound: bool, outbound: bool, gateway: bool
) -> None:
    wanted = patch("HTTP_FILTER", "INSERT_FIRST", own(), listener=http(), context=context)
    sidecar, router = dump(wanted), dump(wanted, proxy=ROUTER)
    assert ("ours" in http_filters(sidecar, "virtualInbound")) is inbound
    assert ("ours" in http_filters(sidecar, "0.0.0.0_80")) is outbound
    assert ("ours" in http_filters(router, "0.0.0.0_80")) is gateway


@proves("ListenerMatch.portNumber", "ListenerMatch.name", "FilterChainMatch.filter")
@pytest.mark.parametrize("match", [{"portNumber": 80}, {"name": "0.0.0.0_80"}])
def test_a_listener_is_matched_by_port_or_name(match: dict[str, Any]) -> None:
    found = dump(
        patch(
            "HTTP_FILTER", "INSERT_FIRST", own(), context="SIDECAR_OUTBOUND", listener=http(**match)
        )
    )
    assert "ours" in http_filters(found, "0.0.0.0_80")
    assert "ours" not in http_filters(found, "0.0.0.0_81")


@proves(
    "EnvoyConfigObjectPatch.applyTo=FILTER_CHAIN",
    "ListenerMatch.filterChain",
    "FilterChainMatch.name",
    "FilterChainMatch.transportProtocol",
    "FilterChainMatch.applicationProtocols",
    "FilterChainMatch.destinationPort",
    "FilterChainMatch.transportSocket",
)
@pytest.mark.parametrize(
    ("match", "kept"),
    [
        ({"name": "0.0.0.0_82"}, lambda c: c["name"] != "0.0.0.0_82"),
        (
            {"transportProtocol": "raw_buffer"},
            lambda c: c["filter_chain_match"].get("transport_protocol") != "raw_buffer",
        ),
        (
            {"applicationProtocols": "istio-h2,istio"},
            lambda c: (
                not {"istio-h2", "istio"}
                <= set(c["filter_chain_match"].get("application_protocols", ()))
            ),
        ),
        (
            {"destinationPort": 82},
            lambda c: c["filter_chain_match"].get("destination_port") != 82,
        ),
        ({"transportSocket": "envoy.transport_sockets.tls"}, lambda c: "transport_socket" not in c),
    ],
)
def test_a_filter_chain_is_matched_by_each_of_its_properties(
    match: dict[str, Any], kept: Any
) -> None:
    before = chains(dump())
    listener = {"filterChain": match}
    after = chains(
        dump(patch("FILTER_CHAIN", "REMOVE", context="SIDECAR_INBOUND", listener=listener))
    )
    assert after == [chain for chain in before if kept(chain)]
    assert len(after) < len(before)


@proves("FilterChainMatch.sni")
def test_a_filter_chain_is_matched_by_its_server_name() -> None:
    listener = {"filterChain": {"sni": "shop.example.com"}}
    value: dict[str, Any] = {"metadata": {"filter_metadata": {"ours": {}}}}
    found = dump(patch("FILTER_CHAIN", "MERGE", value, listener=listener), proxy=ROUTER)
    changed = [
        chain["filter_chain_match"]["server_names"]
        for each in found["listeners"]
        for chain in each["filter_chains"]
        if "ours" in chain.get("metadata", {}).get("filter_metadata", {})
    ]
    assert changed == [["shop.example.com"]]


def test_a_filter_chain_is_added() -> None:
    chain = {
        "name": "ours",
        "filter_chain_match": {"server_names": ["ours"]},
        "filters": [own("limit", LIMIT)],
    }
    found = dump(patch("FILTER_CHAIN", "ADD", chain, listener={"name": "virtualInbound"}))
    assert [c["name"] for c in chains(found)][-1] == "ours"


@proves("EnvoyConfigObjectPatch.applyTo=LISTENER_FILTER", "ListenerMatch.listenerFilter")
@pytest.mark.parametrize(
    ("operation", "place"), [("INSERT_BEFORE", 1), ("INSERT_AFTER", 2), ("INSERT_FIRST", 0)]
)
def test_a_listener_filter_is_put_where_the_patch_says(operation: str, place: int) -> None:
    match = {"name": "virtualInbound", "listenerFilter": "envoy.filters.listener.tls_inspector"}
    found = dump(patch("LISTENER_FILTER", operation, own("ours", PROXY_PROTOCOL), listener=match))
    filters = named(found["listeners"], "virtualInbound")["listener_filters"]
    assert [each["name"] for each in filters].index("ours") == place


@proves("EnvoyConfigObjectPatch.applyTo=LISTENER")
def test_a_listener_is_added_merged_and_removed() -> None:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 7777}}
    value = {"name": "ours", "address": address, "filter_chains": [{"filters": [own("l", LIMIT)]}]}
    added = published(patch("LISTENER", "ADD", value))
    assert added[LISTENER]["ours"].sources == {"EnvoyFilter default/f0"}
    merged = dump(patch("LISTENER", "MERGE", {"tcp_backlog_size": 9}, listener={"portNumber": 80}))
    assert named(merged["listeners"], "0.0.0.0_80")["tcp_backlog_size"] == 9
    removed = published(patch("LISTENER", "REMOVE", listener={"name": "0.0.0.0_80"}))
    assert published()[LISTENER].keys() - removed[LISTENER].keys() == {"0.0.0.0_80"}


VHOST = {"name": "ours", "domains": ["ours"]}


def hosts(found: Dump, routes: str = "80") -> list[str]:
    return [each["name"] for each in named(found["routes"], routes)["virtual_hosts"]]


@proves("EnvoyConfigObjectPatch.applyTo=VIRTUAL_HOST", "RouteConfigurationMatch.vhost")
@pytest.mark.parametrize(
    "vhost",
    [
        pytest.param({"name": f"{REVIEWS}:80"}, marks=proves("VirtualHostMatch.name")),
        pytest.param({"domainName": REVIEWS}, marks=proves("VirtualHostMatch.domainName")),
    ],
)
def test_a_virtual_host_is_matched_and_removed_or_replaced(vhost: dict[str, Any]) -> None:
    match = {"name": "80", "vhost": vhost}
    removed = dump(patch("VIRTUAL_HOST", "REMOVE", routeConfiguration=match))
    assert hosts(removed) == [n for n in hosts(dump()) if n != f"{REVIEWS}:80"]
    replaced = dump(patch("VIRTUAL_HOST", "REPLACE", VHOST, routeConfiguration=match))
    assert hosts(replaced) == [("ours" if n == f"{REVIEWS}:80" else n) for n in hosts(dump())]


def test_a_virtual_host_is_added() -> None:
    added = dump(patch("VIRTUAL_HOST", "ADD", VHOST, routeConfiguration={"name": "80"}))
    assert hosts(added) == [*hosts(dump()), "ours"]
    assert "ours" not in hosts(added, "81")


@proves(
    "EnvoyConfigObjectPatch.applyTo=ROUTE_CONFIGURATION",
    "EnvoyConfigObjectMatch.routeConfiguration",
)
@pytest.mark.parametrize(
    ("proxy", "match", "expected"),
    [
        pytest.param(SIDECAR, {"name": "80"}, {"80"}, marks=proves("RouteConfigurationMatch.name")),
        pytest.param(
            SIDECAR, {"portNumber": 81}, {"81"}, marks=proves("RouteConfigurationMatch.portNumber")
        ),
        (ROUTER, {"portNumber": 80}, {"http.80"}),
        pytest.param(
            ROUTER,
            {"portName": "web"},
            {"https.443.web.gateway.default"},
            marks=proves("RouteConfigurationMatch.portName"),
        ),
        pytest.param(
            ROUTER,
            {"gateway": "default/gateway"},
            {"https.443.web.gateway.default"},
            marks=proves("RouteConfigurationMatch.gateway"),
        ),
    ],
)
def test_a_route_configuration_is_matched(
    proxy: Proxy, match: dict[str, Any], expected: set[str]
) -> None:
    value = {"max_direct_response_body_size_bytes": 77}
    found = dump(
        patch("ROUTE_CONFIGURATION", "MERGE", value, routeConfiguration=match), proxy=proxy
    )
    assert {
        each["name"]
        for each in found["routes"]
        if each.get("max_direct_response_body_size_bytes") == 77
    } == expected


TEAPOT = {"name": "ours", "match": {"prefix": "/tea"}, "direct_response": {"status": 418}}
_ALL = ["moved", "fixed", "main"]


@proves("EnvoyConfigObjectPatch.applyTo=HTTP_ROUTE", "VirtualHostMatch.route")
@pytest.mark.parametrize(
    ("operation", "route", "expected"),
    [
        ("ADD", None, [*_ALL, "ours"]),
        ("INSERT_AFTER", None, [*_ALL, "ours"]),
        ("INSERT_FIRST", None, ["ours", *_ALL]),
        pytest.param(
            "INSERT_BEFORE",
            {"name": "fixed"},
            ["moved", "ours", "fixed", "main"],
            marks=proves("RouteMatch.name"),
        ),
        ("INSERT_AFTER", {"name": "moved"}, ["moved", "ours", "fixed", "main"]),
        ("INSERT_BEFORE", {"name": "nobody"}, _ALL),
        ("REMOVE", {"name": "fixed"}, ["moved", "main"]),
        pytest.param("REMOVE", {"action": "ANY"}, [], marks=proves("RouteMatch.action=ANY")),
        pytest.param(
            "REMOVE",
            {"action": "ROUTE"},
            ["moved", "fixed"],
            marks=proves("RouteMatch.action=ROUTE"),
        ),
        pytest.param(
            "REMOVE",
            {"action": "REDIRECT"},
            ["fixed", "main"],
            marks=proves("RouteMatch.action=REDIRECT"),
        ),
        pytest.param(
            "REMOVE",
            {"action": "DIRECT_RESPONSE"},
            ["moved", "main"],
            marks=proves("RouteMatch.action=DIRECT_RESPONSE"),
        ),
    ],
)
def test_a_route_is_put_where_the_patch_says_or_removed(
    operation: str, route: dict[str, Any] | None, expected: list[str]
) -> None:
    vhost: dict[str, Any] = {"domainName": REVIEWS}
    if route is not None:
        vhost["route"] = route
    value = None if operation == "REMOVE" else TEAPOT
    match = {"portNumber": 80, "vhost": vhost}
    found = dump(patch("HTTP_ROUTE", operation, value, routeConfiguration=match))
    host = named(named(found["routes"], "80")["virtual_hosts"], f"{REVIEWS}:80")
    assert [each["name"] for each in host.get("routes", ())] == expected


@proves("EnvoyConfigObjectPatch.applyTo=CLUSTER", "EnvoyConfigObjectMatch.cluster")
@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(
            {"name": f"outbound|80||{REVIEWS}"},
            {f"outbound|80||{REVIEWS}"},
            marks=proves("ClusterMatch.name"),
        ),
        pytest.param(
            {"subset": "v1"},
            {f"outbound|{p}|v1|{REVIEWS}" for p in (80, 81, 82, 83)},
            marks=proves("ClusterMatch.subset"),
        ),
        pytest.param(
            {"portNumber": 82},
            {f"outbound|82||{REVIEWS}", f"outbound|82|v1|{REVIEWS}", "inbound|82||"},
            marks=proves("ClusterMatch.portNumber"),
        ),
        pytest.param(
            {"service": REVIEWS, "portNumber": 83},
            {f"outbound|83||{REVIEWS}", f"outbound|83|v1|{REVIEWS}", "inbound|83||"},
            marks=proves("ClusterMatch.service"),
        ),
        ({"service": "nobody"}, set()),
    ],
)
def test_a_cluster_is_matched_by_each_of_its_properties(
    match: dict[str, Any], expected: set[str]
) -> None:
    value = {"per_connection_buffer_limit_bytes": 77}
    found = dump(patch("CLUSTER", "MERGE", value, cluster=match))["clusters"]
    changed = {e["name"] for e in found if e.get("per_connection_buffer_limit_bytes") == 77}
    assert changed == expected


def test_a_cluster_is_added_and_removed_with_its_endpoints() -> None:
    cluster = {"name": "ours", "type": "STATIC", "connect_timeout": "1s"}
    added = dump(patch("CLUSTER", "ADD", cluster))
    assert named(added["clusters"], "ours")["connect_timeout"] == "1s"
    gone = dump(patch("CLUSTER", "REMOVE", cluster={"name": f"outbound|80||{REVIEWS}"}))
    assert f"outbound|80||{REVIEWS}" not in {each["name"] for each in gone["clusters"]}
    assert f"outbound|80||{REVIEWS}" not in {e["cluster_name"] for e in gone["endpoints"]}


def test_transport_sockets_of_one_name_are_merged() -> None:
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    socket = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": tls, "sni": "ours.example"},
    }
    match = {"name": f"outbound|80||{REVIEWS}"}
    found = dump(patch("CLUSTER", "MERGE", {"transport_socket": socket}, cluster=match))
    cluster = named(found["clusters"], f"outbound|80||{REVIEWS}")
    text = json.dumps(cluster)
    assert "ours.example" in text
    assert "ROOTCA" in text


@proves("EnvoyConfigObjectPatch.applyTo=EXTENSION_CONFIG")
def test_the_configuration_of_an_extension_is_served_by_name() -> None:
    found = published(patch("EXTENSION_CONFIG", "ADD", own()))
    assert found[EXTENSION].keys() == {"ours"}


@proves("EnvoyConfigObjectMatch.proxy")
@pytest.mark.parametrize(
    ("match", "applies"),
    [
        pytest.param({"proxyVersion": r"^1\.31.*"}, True, marks=proves("ProxyMatch.proxyVersion")),
        ({"proxyVersion": r"^1\.9.*"}, False),
        pytest.param(
            {"metadata": {"CLUSTER_ID": "Kubernetes"}}, True, marks=proves("ProxyMatch.metadata")
        ),
        ({"metadata": {"CLUSTER_ID": "other"}}, False),
    ],
)
def test_a_proxy_is_matched_by_version_and_metadata(match: dict[str, Any], applies: bool) -> None:
    found = dump(patch("HTTP_FILTER", "INSERT_FIRST", own(), listener=http(), proxy=match))
    assert ("ours" in http_filters(found)) is applies


def first(name: str) -> dict[str, Any]:
    return patch("HTTP_FILTER", "INSERT_FIRST", own(name), listener=http())


@proves("EnvoyFilterSpec.priority")
def test_filters_apply_by_priority_then_age_after_those_of_the_root_namespace() -> None:
    found = with_filters(
        {"configPatches": [first("late")], "priority": 5},
        {"configPatches": [first("old")]},
        {"configPatches": [first("young")]},
        {"configPatches": [first("root")], "priority": 9, "namespace": "istio-system"},
        {"configPatches": [first("early")], "priority": -5},
    )
    names = http_filters(config_dump(found))
    assert names[:5] == ["late", "young", "old", "early", "root"]


@proves("EnvoyFilterSpec.workloadSelector")
def test_only_workloads_that_are_selected_are_patched() -> None:
    one = {"workloadSelector": {"labels": {"app": "app"}}, "configPatches": [first("mine")]}
    two = {"workloadSelector": {"labels": {"app": "other"}}, "configPatches": [first("other")]}
    assert http_filters(config_dump(with_filters(one, two)))[:2] == ["mine", _FAULT]


@proves(
    "EnvoyFilterSpec.targetRefs",
    "PolicyTargetReference.group",
    "PolicyTargetReference.kind",
    "PolicyTargetReference.name",
)
def test_a_filter_may_be_attached_to_a_gateway_of_the_gateway_api() -> None:
    def attached(
        name: str, kind: str = "Gateway", group: str = "gateway.networking.k8s.io"
    ) -> dict[str, Any]:
        target = {"group": group, "kind": kind, "name": name}
        return {"targetRefs": [target], "configPatches": [first(name)]}

    labels = (("app", "app"), ("gateway.networking.k8s.io/gateway-name", "mine"))
    router = replace(ROUTER, labels=labels)
    found = with_filters(attached("mine"), attached("other"), proxy=router)
    assert http_filters(config_dump(found))[:2] == ["mine", _FAULT]
    for another in (attached("mine", kind="Service"), attached("mine", group="example.com")):
        assert "mine" not in http_filters(config_dump(with_filters(another, proxy=router)))
    elsewhere = attached("mine") | {"namespace": "istio-system"}
    assert "mine" not in http_filters(config_dump(with_filters(elsewhere, proxy=router)))
    assert with_filters(attached("mine")) == published()
