"""The admin API on TCP, as commands and browsers on other machines find it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from clew.api.location import is_served
from clew.server.api_port import ApiPort
from clew.server.connection_limits import BURST
from clew.server.control_plane import Settings, run_control_plane
from tests.cli.mesh import REVIEWS, Shell, shell
from tests.envoy.rig import free_port
from tests.server.authorities import Authority


@pytest.fixture
def home() -> Iterator[Path]:
    """A state directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="clew") as directory:
        yield Path(directory)


@contextmanager
def control_plane(home: Path, **port: Path) -> Iterator[str]:
    """A control plane of the mesh below ``home``; yields its address on TCP."""
    address = f"127.0.0.1:{free_port()}"
    settings = Settings(state=home / "default", api=ApiPort(address=address, **port))
    loop = asyncio.new_event_loop()
    running = loop.create_task(run_control_plane(settings))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(running)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not is_served(home / "default" / "api.sock"):
            assert time.monotonic() < until
            assert not running.done()
            time.sleep(0.02)
        yield f"https://{address}"
    finally:
        loop.call_soon_threadsafe(running.cancel)
        thread.join()


def token(terminal: Shell, role: str) -> Path:
    """The file with a new token."""
    file = terminal.home / f"{role}.token"
    file.write_text(terminal.good("token", "create", "--role", role, "--name", f"the {role}"))
    return file


def test_commands_reach_a_mesh_elsewhere_as_far_as_their_token_lets_them(home: Path) -> None:
    here = shell(home)
    with control_plane(home) as server:
        tokens = {role: token(here, role) for role in ("viewer", "editor", "admin")}
        away = {
            role: shell(home / "elsewhere", CLEW_SERVER=server, CLEW_TOKEN_FILE=str(file))
            for role, file in tokens.items()
        }
        refused = away["viewer"].clew("apply", "-f", "-", input=REVIEWS)
        assert refused.exit_code == 1
        assert '"the viewer" is viewer here, and this needs editor' in refused.stderr
        away["editor"].good("apply", "-f", "-", input=REVIEWS)
        assert "reviews" in away["viewer"].good("get", "vs")
        assert "the editor" in here.good("history", "vs/reviews")
        assert away["editor"].clew("token", "list").exit_code == 1
        listed = away["admin"].good("token", "list").splitlines()
        assert [line.split()[1:3] for line in listed[1:]] == [["the", r] for r in tokens]
        away["admin"].good("token", "revoke", listed[1].split()[0])
        ended = away["viewer"].clew("get", "vs")
        assert ended.exit_code == 1
        assert "a token that is known and has not expired" in ended.stderr


def test_a_server_that_is_not_of_the_tokens_mesh_is_shown_no_token(home: Path) -> None:
    with control_plane(home / "one") as one:
        file = token(shell(home / "one"), "viewer")
        with control_plane(home / "two") as two:
            elsewhere = {"CLEW_TOKEN_FILE": str(file)}
            assert shell(home, CLEW_SERVER=one, **elsewhere).clew("get", "vs").exit_code == 0
            refused = shell(home, CLEW_SERVER=two, **elsewhere).clew("get", "vs")
            assert refused.exit_code == 1
            assert "does not answer as the control plane of this token" in refused.stderr


@pytest.mark.parametrize(
    ("server", "content", "problem"),
    [
        ("http://127.0.0.1:1", "clew_a", "is not https://host:port"),
        ("https://127.0.0.1:x", "clew_a", "is not https://host:port"),
        ("https://127.0.0.1:1", "", "holds no token"),
        ("https://127.0.0.1:1", "clew_a.%%%", "damaged"),
        (
            "https://127.0.0.1:1",
            f"clew_a.{base64.b64encode(b'no roots').decode()}",
            "cannot be used",
        ),
        ("https://127.0.0.1:1", None, "cannot read the token"),
    ],
)
def test_what_cannot_be_used_is_said(
    server: str, content: str | None, problem: str, home: Path
) -> None:
    file = home / "token"
    if content is not None:
        file.write_text(content)
    result = shell(home).clew("get", "vs", "--server", server, "--token-file", str(file))
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_certificate_of_the_owners_and_client_certificates(home: Path) -> None:
    authority = Authority(home)
    own, own_key = authority.certificate("server", x509.DNSName("localhost"))
    with control_plane(home, certificate=own, key=own_key, client_roots=authority.roots) as server:
        at = server.replace("127.0.0.1", "localhost")
        file = token(shell(home), "viewer")
        assert "." not in file.read_text()
        away = shell(home, CLEW_SERVER=at, CLEW_TOKEN_FILE=str(file))
        assert away.clew("get", "vs").exit_code == 1
        away.good("get", "vs", "--server-ca", str(authority.roots))
        for organization, status in (("clew:editor", 200), ("clew:viewer", 403), ("other", 401)):
            context = ssl.create_default_context(cafile=authority.roots)
            context.load_cert_chain(*authority.certificate("ann", organization=organization))
            with httpx2.Client(verify=context, base_url=at) as client:
                assert client.post("/v1/apply", content=REVIEWS).status_code == status
                if status == 200:
                    cross = {"origin": "https://evil.example.com"}
                    answer = client.post("/v1/apply", content=REVIEWS, headers=cross)
                    assert answer.status_code == 403
        assert "ann" in shell(home).good("history", "vs/reviews")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_plaintext_and_old_tls_get_no_answer(home: Path) -> None:
    with control_plane(home) as server:
        host, port = server.removeprefix("https://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            plain.sendall(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection((host, int(port)), timeout=10) as raw,
            pytest.raises(ssl.SSLError),
        ):
            old.wrap_socket(raw)


def test_who_connects_and_asks_nothing_is_let_go(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.server.api_tcp._FIRST_REQUEST_SECONDS", 0.2)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with control_plane(home) as server:
        host, port = server.removeprefix("https://").split(":")
        with (
            socket.create_connection((host, int(port)), timeout=20) as raw,
            context.wrap_socket(raw) as silent,
        ):
            silent.sendall(b"GET /ready HTTP/1.1\r\nx:")
            assert silent.recv(1) == b""


def test_one_address_cannot_take_all_connections(home: Path) -> None:
    with control_plane(home) as server:
        host, port = server.removeprefix("https://").split(":")
        held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(BURST + 5)]
        try:
            assert held[-1].recv(1) == b""
        finally:
            for each in held:
                each.close()
