"""In which order servers and clients hear of mTLS policies that forbid it, or no longer do."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew.config.parse import parse_documents
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import CLUSTER, LISTENER
from clew.server import staged_policies
from clew.server.directory import Directory
from clew.server.publisher import Publisher
from clew.server.staged_policies import take_in_stages
from clew.stores.store import Change, Stored
from tests.server.proxy import TalkingProxy
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon

WORLD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews.mesh]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews, namespace: default}
spec:
  address: 10.0.0.7
  serviceAccount: reviews
  labels: {app: reviews, security.istio.io/tlsMode: istio}
---
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: %s}}
"""


def sidecar(name: str, ip: str) -> Proxy:
    labels = (("app", name), ("security.istio.io/tlsMode", "istio"))
    return Proxy(
        type=ProxyType.SIDECAR, name=f"{name}-0", namespace="default", ip=ip, labels=labels
    )


class Mesh:
    """A server and a client, which answer when they are told to."""

    def __init__(self) -> None:
        self.store = MemoryStore(now=noon)
        self.directory = Directory(Publisher(), 0)
        self.server = TalkingProxy(self.directory, sidecar("reviews", "10.0.0.7"))
        self.client = TalkingProxy(self.directory, sidecar("client", "10.0.0.8"))
        self.stored: Stored | None = None

    async def changes(self, text: str) -> list[Change]:
        changes = []
        for document in parse_documents(text):
            assert document.resource is not None
            self.stored = await self.store.apply(
                document.resource, document.manifest, author="test"
            )
            changes.append(Change(self.stored.key, self.stored.revision, self.stored))
        return changes

    @property
    def speaks(self) -> str:
        """What the client would send now."""
        cluster = Cluster.FromString(self.client.held[CLUSTER, "outbound|80||reviews.mesh"])
        secured = "tls" in cluster.transport_socket.name or cluster.transport_socket_matches
        return "mutual TLS" if secured else "plaintext"

    @property
    def takes(self) -> set[str]:
        """What the server would take now at the service's port."""
        listener = Listener.FromString(self.server.held[LISTENER, "virtualInbound"])
        chains = [
            chain
            for chain in listener.filter_chains
            if chain.filter_chain_match.destination_port.value == 80
        ]
        return {
            "mutual TLS" if "tls" in chain.transport_socket.name else "plaintext"
            for chain in chains
        }

    @property
    def standing(self) -> str:
        assert self.stored is not None
        return self.directory.standing(self.stored).state


TAKEN = {
    "DISABLE": {"plaintext"},
    "PERMISSIVE": {"plaintext", "mutual TLS"},
    "STRICT": {"mutual TLS"},
}


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staged_policies, "SETTLE_SECONDS", 0.0)


@pytest.mark.parametrize("first", ["server", "client"])
@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(TAKEN, 2)))
def test_at_no_moment_does_the_server_refuse_what_the_client_sends(
    old: str, new: str, first: str
) -> None:
    async def scenario() -> None:
        mesh = Mesh()
        mesh.directory.take(await mesh.changes(WORLD + POLICY % old))
        mesh.server.answer()
        mesh.client.answer()
        assert (mesh.takes, mesh.speaks in mesh.takes) == (TAKEN[old], True)
        changes = await mesh.changes(POLICY % new)
        change = asyncio.ensure_future(take_in_stages(mesh.directory, changes))
        order = [mesh.server, mesh.client][:: 1 if first == "server" else -1]
        while not change.done():
            for proxy in order:
                await asyncio.sleep(0)
                if change.done():
                    break
                assert mesh.standing == "pending"
                proxy.answer()
                assert mesh.speaks in mesh.takes
        for proxy in order:
            proxy.answer()
            assert mesh.speaks in mesh.takes
        assert (mesh.takes, mesh.standing) == (TAKEN[new], "in force")

    asyncio.run(scenario())


def test_a_proxy_that_does_not_answer_delays_the_policy_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staged_policies, "STAGE_SECONDS", 0.01)

    async def scenario() -> None:
        mesh = Mesh()
        mesh.directory.take(await mesh.changes(WORLD + POLICY % "DISABLE"))
        mesh.server.answer()
        await take_in_stages(mesh.directory, await mesh.changes(POLICY % "STRICT"))
        mesh.server.answer()
        assert mesh.takes == TAKEN["STRICT"]

    asyncio.run(scenario())
