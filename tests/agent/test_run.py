"""The agent as a process, with a real Envoy, beside programs written here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from clew.agent.http_client import request_unix
from clew.agent.spec import Capture
from clew.model.pod import ExecAction, Probe
from tests.agent.agent_process import (
    SERVER,
    Agent,
    agent,
    alive,
    page,
    specification,
    until,
    with_app,
)
from tests.agent.control_plane import Authority, ControlPlane, running


def test_a_workload_becomes_ready_and_ends_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = specification(plane, SERVER)
            async with agent(spec) as one:
                await until(lambda: "True" in plane.ready_reports())
                last = plane.statuses[-1]
                assert last["request"] == (
                    "PUT /v1/objects/core/Pod/default/reviews-v1-0/status HTTP/1.1"
                )
                assert last["podIP"] == "127.0.0.1"
                assert last["phase"] == "Running"
                assert plane.nodes[0] == (
                    "sidecar~127.0.0.1~reviews-v1-0.default~default.svc.cluster.local"
                )
                assert set(plane.identities) == {"spiffe://cluster.local/ns/default/sa/default"}
                assert b" 200 " in await page(spec.readiness_port, "/healthz/ready")
                stats = await page(spec.prometheus_port, "/stats/prometheus")
                assert b"envoy_server_live{}" in stats
                assert b" 404 " in await page(spec.prometheus_port, "/quitquitquit")
                for name in ("sds/default.json", "sds/rootca.json", "admin.sock", "envoy.json"):
                    mode = stat.S_IMODE((one.directory / name).stat().st_mode)
                    assert mode == 0o600, name
                assert stat.S_IMODE(one.directory.stat().st_mode) == 0o700
                children = one.children()

                one.process.terminate()
                assert await one.ends() == 0
                assert one.output() == "started\nasked to end\n"
                assert plane.ready_reports()[-1] == "False"
                assert not any(alive(pid) for pid in children.values())

    asyncio.run(scenario())


# A program with metrics of its own.
MEASURED = """
import http.server, os

class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/stats" else 500)
        self.end_headers()
        self.wfile.write(b"# TYPE sold counter\\nsold 7\\n# EOF\\n")

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Metrics).serve_forever()
"""


def test_the_programs_metrics_are_joined_with_the_proxys(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = with_app(
                specification(plane, MEASURED), metrics_port=9080, metrics_path="/stats"
            )
            async with agent(spec):
                await until(lambda: "True" in plane.ready_reports())
                whole = await page(spec.status_port, "/stats/prometheus")
                assert b"\nsold 7\n" in whole
                assert b"envoy_server_live{}" in whole
                assert b"istio_agent_scrapes_total 1" in whole
                assert b"istio_agent_scrape_failures_total 0" in whole
                assert b"istio_agent_cert_expiry_seconds" in whole
                assert b"# EOF" not in whole
                assert b"sold" not in await page(spec.prometheus_port, "/stats/prometheus")
                assert b" 200 " in await page(spec.status_port, "/healthz/ready")

    asyncio.run(scenario())


def test_a_program_without_metrics_where_it_said_takes_nothing_else_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = with_app(specification(plane, MEASURED), metrics_port=9080)
            async with agent(spec) as one:
                await until(lambda: "True" in plane.ready_reports())
                whole = await page(spec.status_port, "/stats/prometheus")
                assert b"istio_agent_scrape_failures_total 1" in whole
                assert b"envoy_server_live{}" in whole
                one.process.terminate()
                await one.ends()
                assert "metrics of the application cannot be read" in one.said
                assert "it answered 500" in one.said

    asyncio.run(scenario())


def test_a_killed_envoy_comes_back_and_the_program_runs_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane, agent(specification(plane, SERVER)) as one:
            await until(lambda: "True" in plane.ready_reports())
            before = one.children()
            os.kill(before["envoy"], signal.SIGKILL)
            await until(lambda: plane.ready_reports()[-3:] == ["True", "False", "True"])
            after = one.children()
            assert after.pop("envoy") != before.pop("envoy")
            assert after == before
            assert one.output() == "started\n"

    asyncio.run(scenario())


def test_nothing_outlives_a_killed_agent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane, agent(specification(plane, SERVER)) as one:
            await until(lambda: "True" in plane.ready_reports())
            children = one.children()
            assert len(children) == 2
            one.process.kill()
            await until(lambda: not any(alive(pid) for pid in children.values()))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("program", "code"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_exit_code_of_a_program_that_is_not_restarted_is_passed_on(
    tmp_path: Path, program: str, code: int
) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = with_app(specification(plane, program), restart=False, ports={})
            async with agent(spec) as one:
                assert await one.ends() == code

    asyncio.run(scenario())


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = with_app(specification(plane, "print('once', flush=True)"), ports={})
            async with agent(spec) as one:
                await until(lambda: one.output() == "once\nonce\n")

    asyncio.run(scenario())


def test_a_program_that_cannot_be_found_ends_with_127(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = with_app(specification(plane, ""), command=("no-such-program",), restart=False)
            async with agent(spec) as one:
                assert await one.ends() == 127
                assert "cannot run 'no-such-program': No such file" in one.output()

    asyncio.run(scenario())


def test_a_taken_port_is_explained_with_envoys_own_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            async with running(tmp_path) as plane:
                spec = specification(plane, SERVER, readiness_port=port)
                async with agent(spec) as one:
                    assert await one.ends() == 1
                    assert "Envoy ended with exit code" in one.said
                    assert "A port that Envoy needs is taken" in one.said
                    assert one.output() == ""

    asyncio.run(scenario())


def test_a_refused_identity_is_explained(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running(tmp_path, authority=Authority(refuses=True)) as plane,
            agent(specification(plane, SERVER)) as one,
        ):
            assert await one.ends() == 1
            assert "refuses reviews-v1-0 the identity default/default" in one.said
            assert "no such service account." in one.said

    asyncio.run(scenario())


def test_certificates_are_renewed_and_envoy_takes_them_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        # Long enough to be used before it ends on a busy machine.
        authority = Authority(lifetime=timedelta(seconds=8))
        async with (
            running(tmp_path, authority=authority) as plane,
            agent(specification(plane, SERVER)) as one,
        ):
            await until(lambda: "True" in plane.ready_reports())
            first, issued = await certificates(one), authority.issued
            await until(lambda: authority.issued > issued)
            while await certificates(one) == first:  # noqa: ASYNC110  Envoy sets no event
                await asyncio.sleep(0.05)

    asyncio.run(scenario())


async def certificates(one: Agent) -> bytes:
    return (await request_unix(str(one.directory / "admin.sock"), "GET", "/certs")).body


def test_a_liveness_failure_restarts_the_program(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            probe = Probe(
                exec=ExecAction(command=("false",)), initial_delay_seconds=1, failure_threshold=1
            )
            spec = with_app(specification(plane, SERVER), liveness=probe)
            async with agent(spec) as one:
                await until(lambda: one.output().count("started") == 2)

    asyncio.run(scenario())


def test_a_gateway_is_ready_without_a_program(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = specification(plane, "", type="router", capture=Capture.NONE, app=None)
            async with agent(spec) as one:
                await until(lambda: "True" in plane.ready_reports())
                one.process.send_signal(signal.SIGINT)
                assert await one.ends() == 0

    asyncio.run(scenario())


def test_a_workload_waits_for_a_control_plane_that_is_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        plane = ControlPlane(tmp_path, Authority(), {})
        async with agent(specification(plane, SERVER)) as one:
            assert one.process.stderr is not None
            line = await asyncio.wait_for(one.process.stderr.readline(), 20)
            assert b"certificate authority away" in line
            async with running(tmp_path) as plane:
                await until(lambda: "True" in plane.ready_reports())

    asyncio.run(scenario())


def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    stubborn = (
        "import signal\n"
        "signal.signal(15, signal.SIG_IGN)\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )

    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = with_app(specification(plane, stubborn), ports={})
            async with agent(spec) as one:
                await until(one.output)
                children = one.children()
                one.process.terminate()
                await until(lambda: plane.ready_reports()[-1:] == ["False"])
                one.process.terminate()
                assert await one.ends() == 143
                assert not any(alive(pid) for pid in children.values())

    asyncio.run(scenario())


def test_a_wrong_spec_is_wrong_usage(tmp_path: Path) -> None:
    async def scenario() -> None:
        plane = ControlPlane(tmp_path, Authority(), {})
        async with agent(specification(plane, SERVER, ca="")) as one:
            assert await one.ends() == 2
            assert "missing required field `ca`" in one.said

    asyncio.run(scenario())
