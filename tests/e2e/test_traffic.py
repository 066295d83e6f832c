"""Traffic between captured programs, where only real proxies in real networks can tell."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from tests.corpora.echo.expectations import succeeded
from tests.corpora.echo.manifests import App
from tests.corpora.echo.world import Call, Result, World, running_world
from tests.e2e.mesh import eventually, needs_root

pytestmark = needs_root

PORTS = (
    {"name": "http", "service_port": 80, "workload_port": 18080},
    {"name": "auto", "service_port": 81, "workload_port": 18081},
    {"name": "tcp-server", "service_port": 91, "workload_port": 18091, "server_first": True},
    {"name": "http-own", "service_port": 82, "workload_port": 18082, "bind": "pod ip only"},
)
APPS = (
    App(name="client", namespace="shop"),
    App(name="web", namespace="shop"),
    App(name="db", namespace="shop", headless=True),
    App(name="plain", namespace="shop", proxy=False),
    App(
        name="excepting",
        namespace="shop",
        annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "80"},
    ),
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(APPS, PORTS) as running:
        # Proxies know all by now; virtual addresses past them come by and by, as kube-proxy's do.
        for by in ("plain", "excepting"):
            eventually(partial(_reaches, running, by), what=f"web is reached by {by}")
        yield running
        assert running.refusals == []


def _reaches(world: World, by: str) -> bool:
    return succeeded(call(world, "web", by=by))


def call(
    world: World, address: str, port: int = 80, *, by: str = "client", **more: object
) -> Result:
    request: Call = {"scheme": "http", "address": address, "port": port, **more}
    return world.calls(by, [request])[0]


def has_mtls(result: Result) -> bool:
    names = [name for name, _ in result["echo"]["headers"]]
    return "x-forwarded-client-cert" in names


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("http", 81), ("grpc", 81)])
def test_requests_between_sidecars_have_mtls(world: World, scheme: str, port: int) -> None:
    assert has_mtls(call(world, "web", port, scheme=scheme))


@pytest.mark.parametrize("port", [18080, 18081])
def test_requests_to_an_instance_of_a_headless_service_have_mtls(world: World, port: int) -> None:
    assert has_mtls(call(world, "db", port))


def test_a_workload_without_a_sidecar_is_called_in_plaintext(world: World) -> None:
    result = call(world, "plain")
    assert succeeded(result)
    assert not has_mtls(result)


def virtual_address(world: World, name: str) -> str:
    (service,) = (s for s in world.client.list(kinds=("Service",)).items if is_named(s, name))
    return str(service["spec"]["clusterIP"])


def is_named(manifest: Mapping[str, Any], name: str) -> bool:
    return bool(manifest["metadata"]["name"] == name)


def test_a_workload_without_a_sidecar_reaches_services_by_name_and_address(world: World) -> None:
    for address in ("web", "web.shop.svc.cluster.local", virtual_address(world, "web")):
        result = call(world, address, by="plain")
        assert succeeded(result), result
        assert result["echo"]["hostname"].startswith("web-")
        assert not has_mtls(result)
    assert succeeded(call(world, "db", 18080, by="plain"))
    assert "error" in call(world, "nothing.shop.svc.cluster.local", by="plain")
    question = "web.shop.svc.cluster.local?protocol=tcp"
    assert call(world, question, by="plain", scheme="dns")["addresses"]


def test_what_passes_a_sidecar_reaches_services_at_their_addresses(world: World) -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  workloadSelector: {labels: {app: client}}
  egress: [{hosts: ["./db.shop.svc.cluster.local"]}]
"""
    address = virtual_address(world, "web")
    assert has_mtls(call(world, address))
    with world.configured(text, "shop"):
        result = call(world, address)
        assert succeeded(result), result
        assert not has_mtls(result)


def test_ports_that_a_workload_excepts_pass_its_sidecar(world: World) -> None:
    assert has_mtls(call(world, "web", 81, by="excepting"))
    result = call(world, "web", 80, by="excepting")
    assert succeeded(result), result
    assert not has_mtls(result)


def test_a_service_that_nobody_serves_refuses_connections_until_somebody_does(
    world: World,
) -> None:
    service = """
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {selector: {app: NAME}, ports: [{name: http, port: 80, targetPort: 18080}]}
"""
    with world.configured(service.replace("NAME", "nobody"), "shop"):
        eventually(lambda: "refused" in error(call(world, "late", by="plain")), what="a refusal")
        world.client.apply(service.replace("NAME", "web"), namespace="shop")
        eventually(lambda: succeeded(call(world, "late", by="plain")), what="the endpoints")


def error(result: Result) -> str:
    return str(result.get("error", "")).lower()


def test_an_address_that_the_mesh_gave_out_leads_to_hosts_outside(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        text = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [outside.example]
  ports: [{{name: tcp, number: 7000, protocol: TCP}}]
  resolution: DNS
  endpoints: [{{address: localhost, ports: {{tcp: {outside.getsockname()[1]}}}}}]
"""
        with world.configured(text, "shop"):
            name = "outside.example?protocol=udp"
            eventually(lambda: call(world, name, scheme="dns").get("addresses"), what="a name")
            (address,) = call(world, name, scheme="dns")["addresses"]
            assert address.startswith("240.240.")
            threading.Thread(target=echo_once, args=(outside,), daemon=True).start()
            ask = partial(call, world, address, 7000, by="plain", scheme="tcp")
            eventually(lambda: ask().get("body") == "hello\n", what="an echo from outside")


def echo_once(listener: socket.socket) -> None:
    """Answer a line with a line."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(lines.readline())


def test_a_server_may_speak_first_and_connections_may_be_upgraded(world: World) -> None:
    assert succeeded(call(world, "web", 91, scheme="tcp", server_first=True))
    upgraded = call(world, "web", scheme="websocket")
    assert upgraded["body"] == "over the upgraded connection\n"


def test_a_service_of_type_external_name_leads_to_what_it_names(world: World) -> None:
    text = """
apiVersion: v1
kind: Service
metadata: {name: alias}
spec:
  type: ExternalName
  externalName: web.shop.svc.cluster.local
  ports: [{name: http, port: 80}]
"""
    with world.configured(text, "shop"):
        # Names reach the workload's DNS server a little later than configuration its proxy.
        eventually(lambda: "error" not in call(world, "alias"), what="the name of the alias")
        assert call(world, "alias")["echo"]["hostname"].startswith("web-")


def test_a_dns_server_on_the_loopback_is_the_programs_own(world: World) -> None:
    question = "web.shop.svc.cluster.local?protocol=udp"
    assert "addresses" in call(world, question, scheme="dns", timeout=2.0)
    assert "error" in call(world, f"{question}&server=127.0.0.1", scheme="dns", timeout=0.5)


def test_the_clients_protocol_reaches_the_application_where_a_rule_keeps_it(world: World) -> None:
    assert call(world, "web", http2=True)["echo"]["protocol"] == "HTTP/1.1"
    text = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}
"""
    with world.configured(text, "shop"):
        assert call(world, "web", http2=True)["echo"]["protocol"] == "HTTP/2.0"
        assert call(world, "web")["echo"]["protocol"] == "HTTP/1.1"


def test_a_sidecar_hands_requests_over_at_the_workloads_own_address(world: World) -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web}
spec:
  workloadSelector: {labels: {app: web}}
  egress: [{hosts: ["./*"]}]
  ingress: [{port: {number: 18082, protocol: HTTP, name: http}, defaultEndpoint: "0.0.0.0:18082"}]
"""
    with world.configured(text, "shop"):
        assert succeeded(call(world, "web", 82))


def test_a_token_that_no_rule_accepts_is_refused_and_none_is_let_through(world: World) -> None:
    text = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  jwtRules: [{issuer: me@example.com, jwks: '{"keys": []}'}]
"""
    with world.configured(text, "shop"):

        def is_refused() -> bool:
            refused = call(world, "web", headers=[("Authorization", "Bearer a.b.c")])
            return bool(refused["status"] == 401)

        # The first rule makes other filter chains: a connection from before has one more request.
        eventually(is_refused, what="the token to be refused")
        assert succeeded(call(world, "web"))
