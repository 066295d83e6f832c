"""A host that is not the mesh's joins over TCP with a token, and lives by its certificate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from clew.agent.spec import AgentSpec, AppSpec, Capture, encode
from tests.agent.agent_process import SERVER, free_port
from tests.e2e.mesh import REVIEWS, Mesh, eventually, running_mesh


def specification(directory: Path, xds: str, ca: str) -> AgentSpec:
    port = free_port()
    return AgentSpec(
        mesh="joining",
        type="sidecar",
        name="vm-1",
        namespace="default",
        workload="billing",
        service_account="billing",
        ip="127.0.0.1",
        capture=Capture.ENV,
        xds=xds,
        ca=ca,
        directory=str(directory),
        readiness_port=free_port(),
        prometheus_port=free_port(),
        app_ports={"9080": port},
        app=AppSpec(
            command=(sys.executable, "-c", SERVER),
            env={"PATH": os.environ["PATH"], "PORT": str(port)},
            ports={"http": 9080},
        ),
    )


@contextmanager
def agent(spec: AgentSpec, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``clew agent`` on the host; ended by SIGTERM."""
    file = Path(spec.directory).with_suffix(".json")
    file.write_bytes(encode(spec))
    command = [sys.executable, "-m", "clew", "agent", "--spec", str(file), *options]
    log = Path(spec.directory).with_suffix(".log").open("a")
    process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


def connected(mesh: Mesh) -> bool:
    found = json.loads(mesh.clew("status", "-o", "json").stdout)["proxies"]
    return any(each["name"] == "vm-1" and each["connected"] for each in found)


def leaf(spec: AgentSpec) -> x509.Certificate:
    held = json.loads(Path(spec.directory, "sds", "default.json").read_text())
    chain = held["resources"][0]["tls_certificate"]["certificate_chain"]["inline_string"]
    return x509.load_pem_x509_certificates(chain.encode())[0]


def test_a_host_joins_once_and_goes_on_by_its_certificate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    xds, join = (f"127.0.0.1:{free_port()}" for _ in range(2))
    monkeypatch.setenv("CLEW_LISTEN", xds)
    monkeypatch.setenv("CLEW_LISTEN_JOIN", join)
    spec = specification(tmp_path / "vm", xds, join)
    with running_mesh("joining", capture="env", served=REVIEWS) as mesh:
        made = mesh.clew(
            *("ca", "token", "create", "-n", "default", "--service-account", "billing"),
            *("--host", "vm-1", "--ttl", "30m"),
        )
        assert made.returncode == 0, made.stderr
        with agent(spec, "--token", made.stdout.strip()):
            eventually(lambda: connected(mesh), what="the host is connected")
            first = leaf(spec)
            names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
                "spiffe://cluster.local/ns/default/sa/billing"
            ]
        other = specification(tmp_path / "other", xds, join)
        with agent(other, "--token", made.stdout.strip()) as it:
            assert it.wait(timeout=30) == 1
        assert "was used already" in (tmp_path / "other.log").read_text()
        eventually(lambda: not connected(mesh), what="the host has gone")
        with agent(spec):
            eventually(lambda: connected(mesh), what="the host is back without a token")
            assert leaf(spec) == first
            rotated = mesh.clew("ca", "rotate", "--timeout", "50s")
            assert rotated.returncode == 0, rotated.stdout + rotated.stderr
            assert leaf(spec) != first, "renewed over mutual TLS"
            assert connected(mesh)
        listed = mesh.clew("ca", "token", "list")
        assert "vm-1" in listed.stdout
        assert made.stdout.strip().partition(".")[0] not in listed.stdout
