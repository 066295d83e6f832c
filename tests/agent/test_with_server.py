"""The agent and the control plane's own services, that each side's words mean the same."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from clew.agent.http_client import request_unix
from clew.ca.authority import bundle, pem
from clew.ca.in_force import AuthorityInForce
from clew.model.xds import Published
from clew.server.ads import AdsServer, require_identity
from clew.server.csr import CertificateService
from clew.server.mtls import ServingCertificate
from clew.server.trust import TrustBundles
from tests.agent.agent_process import SERVER, Agent, agent, specification, until
from tests.agent.control_plane import Authority, ControlPlane
from tests.server.directory import Directory
from tests.server.serving import serving


def _trust_domains() -> tuple[str, ...]:
    return ("cluster.local",)


@asynccontextmanager
async def services(
    plane: ControlPlane, published: Published, authority: AuthorityInForce | None = None
) -> AsyncIterator[Directory]:
    own = authority or authority_in(plane)
    trust = TrustBundles(own, time.monotonic)
    directory = Directory(published)
    signing = CertificateService(lambda: own.current, _trust_domains, trust_claims=True)
    ads = AdsServer(directory, require_identity(_trust_domains), trust=trust)
    certificate = ServingCertificate(lambda: own.current, "cluster.local")
    async with (
        serving(plane.ca, signing.methods()),
        serving(plane.xds, ads.methods(), certificate.mutual),
    ):
        api = await asyncio.start_unix_server(plane.serve_api, plane.api.removeprefix("unix:"))
        looking = asyncio.ensure_future(_look(trust))
        try:
            yield directory
        finally:
            looking.cancel()
            api.close()


def authority_in(plane: ControlPlane) -> AuthorityInForce:
    return AuthorityInForce(plane.directory / "ca", "cluster.local", now=lambda: datetime.now(UTC))


async def _look(trust: TrustBundles) -> None:
    while True:
        trust.look()
        await asyncio.sleep(0.05)


def test_a_workload_gets_its_identity_and_configuration(tmp_path: Path) -> None:
    async def scenario() -> None:
        plane = ControlPlane(tmp_path, Authority(), {})
        async with services(plane, {}), agent(specification(plane, SERVER)) as one:
            await until(lambda: "True" in plane.ready_reports())
            one.process.terminate()
            assert await one.ends() == 0

    asyncio.run(scenario())


def test_a_restarted_control_plane_changes_nothing_for_the_workload(tmp_path: Path) -> None:
    async def scenario() -> None:
        plane = ControlPlane(tmp_path, Authority(), {})
        async with AsyncExitStack() as workload:
            async with services(plane, {}):
                one = await workload.enter_async_context(agent(specification(plane, SERVER)))
                await until(lambda: "True" in plane.ready_reports())
                before = one.children()
            async with services(plane, {}) as directory:
                await until(lambda: directory.connected)
                assert one.children() == before
                assert plane.ready_reports()[-1] == "True"

    asyncio.run(scenario())


def test_a_new_root_is_in_use_in_envoy_before_the_control_plane_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        plane = ControlPlane(tmp_path, Authority(), {})
        authority = authority_in(plane)
        async with services(plane, {}, authority), agent(specification(plane, SERVER)) as one:
            await until(lambda: "True" in plane.ready_reports())
            old = authority.current.root
            before = one.children()
            authority.rotate()
            await until(lambda: authority.phase is None, seconds=40)
            assert one.children() == before, "nothing was restarted"
            new = authority.current.root
            used = await _secrets(one)
            assert pem(new) in used["ROOTCA"]
            chain = x509.load_pem_x509_certificates(used["default"].encode())
            chain[-1].verify_directly_issued_by(new)
            assert bundle(authority.current.roots) == pem(new) != pem(old)
            # Forgetting the old one is waited for by nobody.
            async with asyncio.timeout(20):
                while (await _secrets(one))["ROOTCA"] != pem(new):  # noqa: ASYNC110  # Envoy sets no Event
                    await asyncio.sleep(0.02)

    asyncio.run(scenario())


def test_a_workload_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        plane = ControlPlane(tmp_path, Authority(), {})
        authority = authority_in(plane)
        async with services(plane, {}, authority) as directory:
            async with agent(specification(plane, SERVER)) as one:
                await until(lambda: "True" in plane.ready_reports())
                await until(lambda: len(directory.connected) == 2)
                one.process.terminate()
                assert await one.ends() == 0
            await until(lambda: not directory.connected)
            authority.rotate()
            await until(lambda: authority.phase is None)

    asyncio.run(scenario())


async def _secrets(one: Agent) -> dict[str, str]:
    """The certificate and the roots that Envoy itself says it has."""
    page = await request_unix(str(one.directory / "admin.sock"), "GET", "/config_dump")
    found = {}
    for section in json.loads(page.body)["configs"]:
        for each in section.get("dynamic_active_secrets", ()):
            secret = each["secret"]
            source = secret.get("tls_certificate", {}).get("certificate_chain") or secret.get(
                "validation_context", {}
            ).get("trusted_ca")
            found[each["name"]] = (
                base64.b64decode(source["inline_bytes"]).decode()
                if ("inline_bytes" in source)
                else source["inline_string"]
            )
    return found
