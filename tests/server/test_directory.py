"""What is known of each object from what proxies acknowledge, and what happens if they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from clew.api.messages import ObjectStatus
from clew.config.parse import parse_documents
from clew.model.base import ResourceKey
from clew.server.directory import Directory
from clew.server.holds import Holds
from clew.server.holds_file import load_holds, save_holds
from clew.server.object_standings import manifest_of
from clew.server.publisher import Publisher
from clew.stores.namespaces import in_namespace
from clew.stores.store import Change, NotFound
from tests.server.proxy import TalkingProxy, router
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.com]
  gateways: [web]
  http: [{{directResponse: {{status: 200, body: {{string: "{says}"}}}}}}]
---
"""


def rule(name: str, says: str = "good") -> str:
    return RULE.format(name=name, says=says)


class Mesh:
    """A store and its directory, fed by hand."""

    def __init__(self, holds: Holds | None = None) -> None:
        self.store = MemoryStore(now=noon)
        self.directory = Directory(Publisher(), 0, holds)

    def apply(self, text: str) -> None:
        """One batch."""
        asyncio.run(self._apply(text))

    def delete(self, name: str) -> None:
        async def scenario() -> None:
            key = self.key(name)
            revision = await self.store.delete(key, author="test")
            self.directory.take([Change(key, revision, None)])

        asyncio.run(scenario())

    def of(self, name: str, kind: str = "VirtualService") -> ObjectStatus:
        stored = asyncio.run(self.store.get(self.key(name, kind)))
        if stored is None:
            raise NotFound(name)
        return self.directory.standing(stored)

    def manifest(self, name: str, kind: str = "VirtualService") -> dict[str, object]:
        stored = asyncio.run(self.store.get(self.key(name, kind)))
        assert stored is not None
        return manifest_of(stored, self.directory)

    @staticmethod
    def key(name: str, kind: str = "VirtualService") -> ResourceKey:
        return ResourceKey("networking.istio.io", kind, "default", name)

    async def _apply(self, text: str) -> None:
        changes = []
        for document in parse_documents(text):
            placed = in_namespace(document, "default")
            assert placed.resource is not None
            stored = await self.store.apply(placed.resource, placed.manifest, author="test")
            changes.append(Change(stored.key, stored.revision, stored))
        self.directory.take(changes)


def mesh_with(*texts: str, holds: Holds | None = None) -> Mesh:
    mesh = Mesh(holds)
    mesh.apply("".join(texts))
    return mesh


def answering(*proxies: TalkingProxy) -> None:
    """Let them talk until nobody has anything to say."""
    while True:
        before = sum(proxy.pushes for proxy in proxies)
        for proxy in proxies:
            proxy.answer()
        if before == sum(proxy.pushes for proxy in proxies):
            return


def test_an_object_is_in_force_when_all_proxies_that_it_concerns_have_acknowledged_it() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    assert mesh.of("a").text == "no proxy"
    one, two = (TalkingProxy(mesh.directory, router(f"ingress-{n}")) for n in range(2))
    assert mesh.of("a").text == "pending 0/2"
    answering(one)
    assert mesh.of("a").text == "pending 1/2"
    assert mesh.of("a").waiting == (two.connection.proxy.node_id,)
    answering(two)
    assert mesh.of("a").text == "in force 2/2"
    mesh.apply(rule("a", "better"))
    assert mesh.of("a").text == "pending 0/2"
    answering(one, two)
    assert mesh.of("a").text == "in force 2/2"


def test_an_object_does_not_wait_for_the_acknowledgement_of_another() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    proxy = TalkingProxy(mesh.directory, router())
    answering(proxy)
    mesh.apply(GATEWAY.replace("name: web", "name: other").replace("number: 80", "number: 81"))
    assert mesh.of("a").text == "in force 1/1"
    assert mesh.of("other", "Gateway").text == "pending 0/1"


def test_the_status_is_istios() -> None:
    mesh = mesh_with(GATEWAY, rule("a"), rule("b").replace("gateways: [web]", "gateways: [x]"))
    answering(TalkingProxy(mesh.directory, router()))
    status = mesh.manifest("a")["status"]
    assert status == {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "observedGeneration": 1,
            },
            {
                "type": "Reconciled",
                "status": "True",
                "reason": "InForce",
                "message": "1 of 1 proxies acknowledged generation 1",
                "observedGeneration": 1,
            },
        ],
        "proxies": {"acknowledged": 1, "concerned": 1},
    }
    other = mesh.manifest("b")["status"]
    assert isinstance(other, dict)
    assert other["conditions"][1]["reason"] == "NoProxy"
    [message] = other["validationMessages"]
    assert message["type"]["code"] == "IST0101"


def test_a_proxy_config_waits_for_the_next_start_of_its_proxies() -> None:
    config = (
        "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\n"
        "metadata: {name: threads}\nspec: {concurrency: 2}\n---\n"
    )
    mesh = mesh_with(GATEWAY, config)
    answering(TalkingProxy(mesh.directory, router()))
    standing = mesh.of("threads", "ProxyConfig")
    assert standing.text == "in force 1/1"
    assert standing.message == (
        "1 of 1 proxies take generation 1 when they start; "
        "those that ran before keep their settings until they start again"
    )


def test_a_field_without_effect_is_told_in_the_status() -> None:
    mesh = mesh_with(GATEWAY.replace('hosts: ["*"]', 'hosts: ["*"], defaultEndpoint: "[::1]:80"'))
    answering(TalkingProxy(mesh.directory, router()))
    standing = mesh.of("web", "Gateway")
    assert standing.in_force
    [found] = standing.findings
    assert found.text.startswith("Warning Gateway default/web\n  spec.servers[0].defaultEndpoint: ")
    status = mesh.manifest("web", "Gateway")["status"]
    assert isinstance(status, dict)
    [message] = status["validationMessages"]
    field = "spec.servers[0].defaultEndpoint"
    assert message["type"]["name"] == f"{field}: {found.problem}"
    assert message["level"] == "WARNING"


def test_a_kind_that_clew_does_not_support_yet_says_so() -> None:
    plugin = (
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: t}\n"
        "spec: {url: oci://example.com/t}"
    )
    mesh = mesh_with(plugin)
    stored = asyncio.run(
        mesh.store.get(ResourceKey("extensions.istio.io", "WasmPlugin", "default", "t"))
    )
    assert stored is not None
    assert mesh.directory.standing(stored).text == "not supported"


def test_of_a_batch_only_the_object_that_is_refused_is_held() -> None:
    mesh = mesh_with(GATEWAY, rule("a"), rule("b"))
    proxies = [TalkingProxy(mesh.directory, router(f"i-{n}"), refuses=b"BAD") for n in range(3)]
    answering(*proxies)
    mesh.apply(rule("a", "BAD") + rule("b", "newer") + rule("c"))
    answering(*proxies)
    assert mesh.of("a").text == "held at generation 1"
    assert mesh.of("a").reason == "refused http.80: no"
    assert mesh.of("b").text == mesh.of("c").text == "in force 3/3"
    mesh.apply(rule("b", "newest"))
    answering(*proxies)
    assert mesh.of("b").text == "in force 3/3"
    assert mesh.of("a").text == "held at generation 1"
    [refusal] = mesh.directory.refusals()
    assert (refusal.object, refusal.generation, refusal.held) == (str(mesh.key("a")), 2, True)


def test_a_held_object_is_let_go_when_it_is_changed_or_deleted() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(proxy)
    mesh.apply(rule("a", "BAD"))
    answering(proxy)
    mesh.apply(rule("a", "good again"))
    assert mesh.of("a").text == "pending 0/1"
    answering(proxy)
    assert mesh.of("a").text == "in force 1/1"
    assert not mesh.directory.refusals()[0].held
    mesh.apply(rule("a", "BAD once more"))
    answering(proxy)
    mesh.delete("a")
    answering(proxy)
    mesh.apply(rule("a"))
    answering(proxy)
    assert mesh.of("a").text == "in force 1/1"


def test_a_new_proxy_is_told_the_good_version_at_once() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(proxy)
    mesh.apply(rule("a", "BAD"))
    answering(proxy)
    other = TalkingProxy(mesh.directory, router("other"), refuses=b"BAD")
    answering(other)
    assert any(b"good" in body for body in other.held.values())
    assert len(mesh.directory.refusals()) == 1


def test_several_guilty_among_many_are_found_with_few_pushes() -> None:
    mesh = mesh_with(
        GATEWAY, *(rule(f"r{n}", "BAD" if n in (3, 17) else "good") for n in range(32))
    )
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(proxy)
    texts = {n: mesh.of(f"r{n}").text for n in range(32)}
    assert {n for n, text in texts.items() if text == "held back"} == {3, 17}
    assert set(texts.values()) == {"held back", "in force 1/1"}
    assert proxy.pushes < 32


def test_what_no_object_explains_ends_and_the_rest_is_delivered() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"http.80")
    answering(proxy)
    assert proxy.pushes < 20
    mesh.apply(GATEWAY.replace("name: web", "name: other").replace("number: 80", "number: 81"))
    answering(proxy)
    assert any("81" in name for _, name in proxy.held)


def test_a_port_that_another_program_has_is_no_objects_fault() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    taken = (
        "Error adding/updating listener(s) {0}: cannot bind '0.0.0.0:80': Address already in use"
    )
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"0.0.0.0_80", reason=taken)
    answering(proxy)
    assert mesh.directory.holds.all() == ()
    [refusal] = mesh.directory.refusals()
    assert (refusal.object, refusal.resource) == ("", "0.0.0.0_80")
    assert "Address already in use" in refusal.reason


def test_a_search_ends_when_its_proxy_leaves() -> None:
    mesh = mesh_with(GATEWAY, rule("a"), rule("b"))
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(proxy)
    mesh.apply(rule("a", "BAD") + rule("b", "newer"))
    response = proxy.stream.poll()
    assert response is not None
    proxy.leave()
    other = TalkingProxy(mesh.directory, router("other"), refuses=b"BAD")
    answering(other)
    assert mesh.of("b").text == "in force 1/1"
    assert mesh.of("a").state == "held"


def test_what_is_held_stays_held_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "held.json"
    saving: Callable[..., None] = lambda held: save_holds(file, held)  # noqa: E731  # a closure
    mesh = mesh_with(GATEWAY, rule("a"), holds=Holds(on_change=saving))
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(proxy)
    mesh.apply(rule("a", "BAD"))
    answering(proxy)

    async def restarted() -> Directory:
        holds = Holds(await load_holds(file, mesh.store))
        revision, objects = await mesh.store.list()
        found = [holds.in_force(stored.key, stored.resource) for stored in objects]
        return Directory(Publisher([r for r in found if r], revision), revision, holds)

    mesh.directory = asyncio.run(restarted())
    again = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(again)
    assert mesh.of("a").text == "held at generation 1"
    assert any(b"good" in body for body in again.held.values())
    assert mesh.directory.refusals() == ()


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: ingress}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: http, port: 80}, {name: other, port: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: ingress-0, labels: {istio: ingressgateway}}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
---
"""


def test_what_a_proxy_was_told_is_remembered_when_it_comes_to_serve_other_ports() -> None:
    mesh = mesh_with(GATEWAY, rule("a"))
    proxy = TalkingProxy(mesh.directory, router(), refuses=b"BAD")
    answering(proxy)
    mesh.apply(rule("a", "BAD") + rule("b", "newer"))
    mesh.apply(SERVICE)
    answering(proxy)
    assert mesh.of("a").text == "held at generation 1"
    assert mesh.of("b").text == "in force 1/1"
