"""Where a certificate comes from, where it goes, and how it follows the mesh's roots."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from google.protobuf.any_pb2 import Any

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from clew._pb.istio.mesh.v1alpha1.proxy_pb2 import ProxyConfig
from clew.agent.directory import CONTROL_PLANE_SOCKET
from clew.agent.identity import IdentityRefused, WorkloadIdentity
from clew.agent.spec import AgentSpec, own_peer
from clew.ca.authority import bundle
from clew.ca.in_force import AuthorityInForce
from clew.ca.named_peer import peer_in
from clew.model.metrics import Peer
from clew.model.xds import TRUST_BUNDLE
from clew.server.csr import CertificateService
from clew.server.join_tokens import Claim, JoinTokens
from clew.server.mtls import ServingCertificate
from tests.agent.agent_process import until
from tests.server.serving import serving

SPEC = AgentSpec(
    mesh="test",
    type="sidecar",
    name="vm-1",
    namespace="prod",
    workload="billing",
    service_account="billing",
    ip="10.0.0.7",
    xds="localhost:1",
)


class Mesh:
    """An authority with ca.sock, and a port for hosts that join."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = lambda: datetime.now(UTC)
        self.authority = AuthorityInForce(folder / "ca", "cluster.local", now=self.now)
        self.tokens = JoinTokens(folder, now=self.now)
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Mesh]:
        def domains() -> tuple[str, ...]:
            return ("cluster.local",)

        own = CertificateService(lambda: self.authority.current, domains, trust_claims=True)
        joining = CertificateService(lambda: self.authority.current, domains, tokens=self.tokens)
        certificate = ServingCertificate(lambda: self.authority.current, "cluster.local")
        async with (
            serving(f"unix:{self.folder}/ca.sock", own.methods()),
            serving("localhost:0", joining.methods(), certificate.one_sided) as self.port,
        ):
            yield self

    def local(self) -> AgentSpec:
        return self._spec(f"unix:{self.folder}/ca.sock")

    def remote(self) -> AgentSpec:
        return self._spec(f"localhost:{self.port}")

    def _spec(self, ca: str) -> AgentSpec:
        fields = {name: getattr(SPEC, name) for name in SPEC.__struct_fields__}
        return AgentSpec(**{**fields, "ca": ca, "directory": str(self.folder / "agent")})

    def token(self, host: str = "vm-1") -> str:
        secret, _ = self.tokens.create(
            Claim("prod", "billing", host), lifetime=timedelta(minutes=1)
        )
        roots = bundle(self.authority.current.roots).encode()
        return f"{secret}.{base64.urlsafe_b64encode(roots).decode()}"

    def bundle(self) -> DeltaDiscoveryResponse:
        roots = bundle(self.authority.current.trusted).split("-----END CERTIFICATE-----\n")
        pems = [f"{each}-----END CERTIFICATE-----\n" for each in roots if each]
        body = ProxyConfig(ca_certificates_pem=pems).SerializeToString()
        resource = Resource(name="default", resource=Any(type_url=TRUST_BUNDLE, value=body))
        return DeltaDiscoveryResponse(resources=[resource])

    def leaf(self) -> str:
        return self._held("default", "tls_certificate", "certificate_chain")

    def roots(self) -> str:
        return self._held("rootca", "validation_context", "trusted_ca")

    def _held(self, file: str, *path: str) -> str:
        found = json.loads((self.folder / "agent" / "sds" / f"{file}.json").read_text())
        value = found["resources"][0]
        for key in path:
            value = value[key]
        return str(value["inline_string"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agent").mkdir(mode=0o700)
    return tmp_path


def test_a_certificate_names_the_workload_before_and_after_it_is_renewed(folder: Path) -> None:
    async def scenario() -> None:
        async with Mesh(folder).running() as mesh:
            spec = mesh.local()
            identity = WorkloadIdentity(spec)
            await identity.start()
            first = mesh.leaf()
            assert named_in(first) == own_peer(spec)
            await identity.obtain()
            assert mesh.leaf() != first
            assert named_in(mesh.leaf()) == own_peer(spec)

    asyncio.run(scenario())


def named_in(leaf: str) -> Peer:
    return peer_in(x509.load_pem_x509_certificate(leaf.encode()))


def test_a_host_whose_workload_has_other_labels_now_renews_its_certificate_at_once(
    folder: Path,
) -> None:
    async def scenario() -> None:
        async with Mesh(folder).running() as mesh:
            own = CertificateService(
                lambda: mesh.authority.current, lambda: ("cluster.local",), trust_claims=True
            )
            # In place of its Envoy's way to the mesh, which shows its certificate.
            async with serving(f"unix:{folder}/agent/{CONTROL_PLANE_SOCKET}", own.methods()):
                await WorkloadIdentity(mesh.remote(), mesh.token()).start()
                first = mesh.leaf()
                assert named_in(first) == own_peer(mesh.remote())
                labelled = msgspec.structs.replace(mesh.remote(), labels={"app": "payments"})
                identity = WorkloadIdentity(labelled)
                await identity.start()
                assert mesh.leaf() == first, "it has no Envoy yet"
                running = asyncio.create_task(identity.run())
                await until(lambda: mesh.leaf() != first)
                running.cancel()
                assert named_in(mesh.leaf()).app == "payments"

    asyncio.run(scenario())


def test_files_are_private(folder: Path) -> None:
    async def scenario() -> None:
        async with Mesh(folder).running() as mesh:
            await WorkloadIdentity(mesh.local()).start()
            sds = folder / "agent" / "sds"
            assert stat.S_IMODE(sds.stat().st_mode) == 0o700
            assert sorted(file.name for file in sds.iterdir()) == ["default.json", "rootca.json"]
            assert {stat.S_IMODE(file.stat().st_mode) for file in sds.iterdir()} == {0o600}

    asyncio.run(scenario())


def test_a_new_root_is_trusted_first_and_lived_under_when_it_signs(folder: Path) -> None:
    async def scenario() -> None:
        async with Mesh(folder).running() as mesh:
            identity = WorkloadIdentity(mesh.local())
            await identity.start()
            first = mesh.leaf()
            mesh.authority.rotate()
            identity.receive(mesh.bundle())
            await identity.settled()
            assert mesh.roots() == bundle(mesh.authority.current.roots)
            assert mesh.leaf() == first, "the old root still signs"
            mesh.authority.advance()
            identity.receive(mesh.bundle())
            await identity.settled()
            second = mesh.leaf()
            assert second != first
            mesh.authority.advance()
            identity.receive(mesh.bundle())
            await identity.settled()
            assert mesh.leaf() == second
            assert mesh.roots() == bundle(mesh.authority.current.roots)

    asyncio.run(scenario())


def test_a_host_joins_with_a_token_once_and_goes_on_with_what_it_got(folder: Path) -> None:
    async def scenario() -> None:
        async with Mesh(folder).running() as mesh:
            token = mesh.token()
            await WorkloadIdentity(mesh.remote(), token).start()
            leaf = mesh.leaf()
            await WorkloadIdentity(mesh.remote(), token).start()
            await WorkloadIdentity(mesh.remote()).start()
            assert mesh.leaf() == leaf, "a restart takes up what there is"
            (folder / "agent" / "sds" / "default.json").unlink()
            with pytest.raises(IdentityRefused, match="was used already"):
                await WorkloadIdentity(mesh.remote(), token).start()

    asyncio.run(scenario())


@pytest.mark.parametrize("token", ["", "nonsense", "a.b", "a." + "QQ==" * 8])
def test_without_a_token_that_is_one_a_host_does_not_ask(folder: Path, token: str) -> None:
    async def scenario() -> None:
        async with Mesh(folder).running() as mesh:
            with pytest.raises(IdentityRefused, match="clew ca token create") as refusal:
                await WorkloadIdentity(mesh.remote(), token).start()
            assert "join token" in str(refusal.value)

    asyncio.run(scenario())


def test_a_token_is_not_sent_to_anybody_but_its_mesh(folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "other").mkdir()
        other = Mesh(tmp_path / "other")
        async with Mesh(folder).running() as mesh, other.running():
            spec = mesh.remote()
            identity = WorkloadIdentity(spec, other.token())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(identity.start(), 1)
            assert [each.used for each in other.tokens.all()] == [None]

    asyncio.run(scenario())
