"""What Envoy refuses is held at its last good generation, and nothing else is held up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.envoy.mesh import answer, eventually_answers, ingress, live_mesh
from tests.envoy.program import backend
from tests.envoy.rig import free_port
from tests.envoy.tls_gateway import certificate, visit
from tests.envoy.worlds import LISTENING

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.com]
  gateways: [web]
  http:
  - {action}
---
"""
# No header may hold this host.
REFUSED = 'redirect: {authority: "a\\nb"}'


def rule(name: str, says: str, action: str = "") -> str:
    answer = f"directResponse: {{status: 200, body: {{string: {says}}}}}"
    return RULE.format(name=name, action=action or answer)


def test_a_route_that_envoy_refuses_is_held_and_its_neighbours_go_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        text = LISTENING.format(port=port) + rule("a", "one") + rule("b", "one")
        async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
            assert await eventually_answers(port, "a.example.com") == (200, "one")
            assert (await mesh.status("VirtualService", "a")).text == "in force 1/1"

            await mesh.apply(rule("a", "two", REFUSED) + rule("b", "two") + rule("c", "new"))
            held = await mesh.status("VirtualService", "a")
            assert held.text == "held at generation 1"
            assert "RedirectActionValidationError.HostRedirect" in held.reason
            assert (await mesh.status("VirtualService", "b")).text == "in force 1/1"
            assert await answer(port, "a.example.com") == (200, "one")
            assert await answer(port, "b.example.com") == (200, "two")
            assert await answer(port, "c.example.com") == (200, "new")

            await mesh.apply(rule("b", "three"))
            assert (await mesh.status("VirtualService", "b")).text == "in force 1/1"
            assert await answer(port, "b.example.com") == (200, "three")
            assert (await mesh.status("VirtualService", "a")).text == "held at generation 1"

            await mesh.apply(rule("a", "four"))
            assert (await mesh.status("VirtualService", "a")).text == "in force 1/1"
            assert await answer(port, "a.example.com") == (200, "four")

    asyncio.run(scenario())


def test_a_new_route_that_envoy_refuses_is_absent(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        text = LISTENING.format(port=port) + rule("a", "one")
        async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
            assert await eventually_answers(port, "a.example.com") == (200, "one")
            await mesh.apply(rule("bad", "never", REFUSED))
            assert (await mesh.status("VirtualService", "bad")).text == "held back"
            assert (await mesh.status("VirtualService", "a")).text == "in force 1/1"
            await mesh.apply(rule("a", "two"))
            assert (await mesh.status("VirtualService", "a")).text == "in force 1/1"
            assert await answer(port, "a.example.com") == (200, "two")

    asyncio.run(scenario())


@pytest.mark.parametrize("bad", [("r3",), ("r0", "r5", "r6")])
def test_what_was_there_before_the_first_proxy_is_found_among_many(
    tmp_path: Path, bad: tuple[str, ...]
) -> None:
    async def scenario() -> None:
        port = free_port()
        names = [f"r{number}" for number in range(9)]
        rules = [rule(n, "one", REFUSED if n in bad else "") for n in names]
        text = LISTENING.format(port=port) + "".join(rules)
        async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
            await eventually_answers(port, "r1.example.com")
            for name in names:
                expected = "held back" if name in bad else "in force 1/1"
                assert (await mesh.status("VirtualService", name)).text == expected
                wanted = 404 if name in bad else 200
                assert (await answer(port, f"{name}.example.com"))[0] == wanted

    asyncio.run(scenario())


ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.org]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
"""
TO = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.com]
  gateways: [web]
  http: [{{route: [{{destination: {{host: {name}.example.org}}}}]}}]
---
"""
FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: patch}}
spec:
  workloadSelector: {{labels: {{istio: ingressgateway}}}}
  configPatches:
  - applyTo: CLUSTER
    match: {{cluster: {{service: {service}}}}}
    patch: {{operation: MERGE, value: {value}}}
---
"""


def test_a_cluster_that_envoy_refuses_is_held_and_its_neighbours_go_through(
    tmp_path: Path,
) -> None:
    """An EnvoyFilter whose cluster is well-formed, and impossible."""

    async def scenario() -> None:
        port = free_port()
        async with backend("one") as one, backend("two") as two:
            first = "".join(ENTRY.format(name=n, port=one) + TO.format(name=n) for n in "ab")
            text = LISTENING.format(port=port) + first
            async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
                assert await eventually_answers(port, "a.example.com") == (200, "one")
                bad = FILTER.format(
                    service="a.example.org", value="{eds_cluster_config: null, type: LOGICAL_DNS}"
                )
                await mesh.apply(bad + ENTRY.format(name="b", port=two))
                held = await mesh.status("EnvoyFilter", "patch")
                assert held.text == "held back"
                assert "LOGICAL_DNS" in held.reason
                assert (await mesh.status("ServiceEntry", "b")).text == "in force 1/1"
                assert await answer(port, "a.example.com") == (200, "one")
                assert await answer(port, "b.example.com") == (200, "two")
                good = FILTER.format(service="a.example.org", value="{connect_timeout: 3s}")
                await mesh.apply(good)
                assert (await mesh.status("EnvoyFilter", "patch")).text == "in force 1/1"
                assert await answer(port, "a.example.com") == (200, "one")

    asyncio.run(scenario())


HTTPS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: web}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - {{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}
  - port: {{number: {tls}, name: https, protocol: HTTPS}}
    hosts: [web.example.com]
    tls: {{mode: SIMPLE, credentialName: web, cipherSuites: [{cipher}]}}
---
"""


SECRET = """
apiVersion: v1
kind: Secret
metadata: {{name: web}}
type: kubernetes.io/tls
stringData: {{tls.crt: "{chain}", tls.key: "{key}"}}
---
"""


LISTENER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
  - applyTo: LISTENER
    patch: {operation: MERGE, value: {internal_listener: {}}}
---
"""


def test_a_listener_that_envoy_refuses_is_held(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        text = LISTENING.format(port=port) + rule("a", "one")
        async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
            assert await eventually_answers(port, "a.example.com") == (200, "one")
            await mesh.apply(LISTENER + rule("a", "two"))
            held = await mesh.status("EnvoyFilter", "patch")
            assert held.text == "held back"
            assert "internal listener" in held.reason
            assert (await mesh.status("VirtualService", "a")).text == "in force 1/1"
            assert await answer(port, "a.example.com") == (200, "two")

    asyncio.run(scenario())


def test_a_certificate_that_envoy_refuses_is_held(tmp_path: Path) -> None:
    async def scenario() -> None:
        port, tls = free_port(), free_port()
        (chain, key), (_, other) = certificate(1), certificate(2)
        text = HTTPS.format(port=port, tls=tls, cipher="ECDHE-ECDSA-AES128-GCM-SHA256")
        text += SECRET.format(chain=chain, key=key) + rule("web", "one") + rule("a", "one")
        async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
            assert await eventually_answers(port, "a.example.com") == (200, "one")
            assert (await mesh.status("Gateway", "web")).text == "in force 1/1"
            assert (await mesh.status("Secret", "web")).text == "in force 1/1"
            await mesh.apply(SECRET.format(chain=chain, key=other) + rule("a", "two"))
            held = await mesh.status("Secret", "web")
            assert held.text == "held at generation 1"
            assert (await mesh.status("VirtualService", "a")).text == "in force 1/1"
            assert (await visit(tls))[0] == 1

    asyncio.run(scenario())
