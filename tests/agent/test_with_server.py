"""The agent and the control plane's own services, that each side's words mean the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from clew.ca.keys import load_or_create
from clew.model.xds import Published
from clew.server.ads import AdsServer, require_identity
from clew.server.csr import CertificateService
from clew.server.mtls import ServingCertificate
from tests.agent.control_plane import Authority, ControlPlane
from tests.agent.test_run import SERVER, agent, specification, until
from tests.server.directory import Directory
from tests.server.serving import serving


def _trust_domains() -> tuple[str, ...]:
    return ("cluster.local",)


@asynccontextmanager
async def services(plane: ControlPlane, published: Published) -> AsyncIterator[Directory]:
    authority = load_or_create(plane.directory / "ca", "cluster.local", now=datetime.now(UTC))
    directory = Directory(published)
    signing = CertificateService(lambda: authority, _trust_domains, trust_claims=True)
    ads = AdsServer(directory, require_identity(_trust_domains))
    certificate = ServingCertificate(lambda: authority, "cluster.local")
    async with (
        serving(plane.ca, signing.methods()),
        serving(plane.xds, ads.methods(), certificate.mutual),
    ):
        api = await asyncio.start_unix_server(plane.serve_api, plane.api.removeprefix("unix:"))
        try:
            yield directory
        finally:
            api.close()


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
