from __future__ import annotations

from clew._pb.envoy.config.route.v3.route_components_pb2 import VirtualHost
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.gateway_connections import Known
from clew.compile.gateway_listeners import compile_gateway_listeners
from clew.compile.gateway_routes import compile_gateway_routes
from clew.compile.memo import Memo
from clew.compile.rule_routes import Client
from clew.config.parse import parse_documents
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope import GatewayScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot

ROUTER = Proxy(
    type=ProxyType.ROUTER,
    name="ingress",
    namespace="istio-system",
    ip="10.0.0.9",
    labels=(("istio", "ingressgateway"),),
)

NOTHING_KNOWN = Known(services={}, destination_rules={}, mesh=MeshConfig())


def gateway(name: str, server: str, created: str = "2024-01-01T00:00:00Z") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: default, creationTimestamp: "{created}"}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{server}]
---"""


def route(name: str, gateways: str, path: str, created: str = "2024-01-01T00:00:00Z") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default, creationTimestamp: "{created}"}}
spec:
  hosts: [shop.example.com]
  gateways: [{gateways}]
  http:
  - match: [{{uri: {{prefix: {path}}}}}]
    route: [{{destination: {{host: {name}.default.svc.cluster.local, port: {{number: 80}}}}}}]
---"""


def scope_of(text: str) -> GatewayScope:
    resources = []
    for document in parse_documents(text):
        assert document.resource is not None, document.diagnostics
        resources.append(document.resource)
    scope = build_scope(build_snapshot(resources), ROUTER).gateway
    assert scope is not None
    return scope


def compiled(scope: GatewayScope) -> list[RouteConfiguration]:
    client = Client(scope.namespace, (), {}, {}, scope.mesh)
    found = compile_gateway_routes(scope, client, Memo())
    return [RouteConfiguration.FromString(each.body) for each in found]


HTTP = '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}'


def test_the_more_specific_of_both_hosts_becomes_the_virtual_host() -> None:
    scope = scope_of(gateway("web", HTTP) + route("cart", "web", "/cart"))
    [routes] = compiled(scope)
    assert routes.name == "http.80"
    [host] = routes.virtual_hosts
    assert list(host.domains) == ["shop.example.com"]
    assert host.routes[0].route.cluster == "outbound|80||cart.default.svc.cluster.local"


def test_a_catch_all_of_an_older_virtual_service_hides_nothing() -> None:
    text = gateway("web", HTTP)
    text += route("home", "web", "/", "2024-01-01T00:00:00Z")
    text += route("cart", "web", "/cart", "2025-01-01T00:00:00Z")
    [routes] = compiled(scope_of(text))
    [host] = routes.virtual_hosts
    assert [r.match.prefix for r in host.routes] == ["/cart", "/"]


def test_a_port_without_routes_answers_404() -> None:
    [routes] = compiled(scope_of(gateway("web", HTTP)))
    [host] = routes.virtual_hosts
    assert host.name == "blackhole:80"
    assert not host.routes


def test_https_redirect_covers_hosts_that_nobody_routes() -> None:
    server = HTTP.replace("hosts:", "tls: {httpsRedirect: true}, hosts:")
    [routes] = compiled(scope_of(gateway("web", server)))
    [host] = routes.virtual_hosts
    assert host.require_tls == VirtualHost.ALL


def test_the_redirect_comes_before_the_routes_of_narrower_hosts() -> None:
    server = HTTP.replace("hosts:", "tls: {httpsRedirect: true}, hosts:")
    [routes] = compiled(scope_of(gateway("web", server) + route("api", "web", "/api")))
    redirected = {tuple(host.domains): host.require_tls for host in routes.virtual_hosts}
    assert redirected == {
        ("shop.example.com",): VirtualHost.ALL,
        ("*.example.com",): VirtualHost.ALL,
    }


def test_plaintext_servers_of_one_port_share_a_listener_and_its_routes() -> None:
    other = HTTP.replace("*.example.com", "other.test")
    scope = scope_of(gateway("web", HTTP) + gateway("more", other) + route("cart", "web", "/"))
    assert [listener.name for listener in compile_gateway_listeners(scope, NOTHING_KNOWN)] == [
        "0.0.0.0_80"
    ]
    assert [routes.name for routes in compiled(scope)] == ["http.80"]


def test_a_younger_tcp_server_does_not_take_an_http_port_away() -> None:
    tcp = '{port: {number: 80, name: tcp, protocol: TCP}, hosts: ["*"]}'
    text = gateway("web", HTTP, "2024-01-01T00:00:00Z") + gateway("db", tcp, "2025-01-01T00:00:00Z")
    [listener] = compile_gateway_listeners(scope_of(text), NOTHING_KNOWN)
    [chain] = listener.filter_chains
    assert chain.filters[0].name == "envoy.filters.network.http_connection_manager"


def test_https_servers_have_chains_by_sni_and_routes_of_their_own() -> None:
    server = (
        "{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com],"
        " tls: {mode: SIMPLE, credentialName: shop-cert}}"
    )
    scope = scope_of(gateway("web", server) + route("cart", "web", "/"))
    [listener] = compile_gateway_listeners(scope, NOTHING_KNOWN)
    [chain] = listener.filter_chains
    assert list(chain.filter_chain_match.server_names) == ["shop.example.com"]
    assert chain.HasField("transport_socket")
    [routes] = compiled(scope)
    assert routes.name == "https.443.https.web.default"
