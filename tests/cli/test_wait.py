from __future__ import annotations

import fcntl
import json
import threading
from pathlib import Path

from clew.server.directory import Directory
from tests.cli.mesh import REVIEWS, Shell, shell
from tests.server.api_server import server_thread
from tests.server.proxy import TalkingProxy, router

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example.com]
  gateways: [web]
  http: [{directResponse: {status: 200, body: {string: good}}}]
"""
REFUSED = ROUTES.replace("good", "BAD")
NAME = "virtualservice.networking.istio.io/web"


def ingress_gateway(directory: Directory) -> None:
    TalkingProxy(directory, router(), refuses=b"BAD", eager=True)


def silent_gateway(directory: Directory) -> None:
    TalkingProxy(directory, router())


def test_wait_ends_when_proxies_have_acknowledged(home: Path) -> None:
    with server_thread(home, on_directory=ingress_gateway):
        terminal = shell(home)
        terminal.good("apply", "-f", "-", input=f"{GATEWAY}---\n{ROUTES}")
        said = terminal.good("wait", "vs/web", "gw/web")
        assert f"{NAME} in force 1/1: 1 of 1 proxies acknowledged generation 1\n" in said
        found = json.loads(terminal.good("wait", "vs", "web", "--for=delivery", "-o", "json"))
        assert (found["state"], found["acknowledged"], found["concerned"]) == ("in force", 1, 1)
        header, row = terminal.good("get", "vs").splitlines()
        assert (header.split()[3], row.split()[3:6]) == ("STATUS", ["in", "force", "1/1"])


def test_wait_fails_with_the_reason_when_a_proxy_refuses(home: Path) -> None:
    with server_thread(home, on_directory=ingress_gateway):
        terminal = shell(home)
        terminal.good("apply", "-f", "-", "--wait", input=f"{GATEWAY}---\n{ROUTES}")
        result = terminal.clew("apply", "-f", "-", "--wait", input=REFUSED)
        assert result.exit_code == 1
        assert f"{NAME} held at generation 1" in result.stderr
        assert "refused http.80: no" in result.stderr
        assert terminal.clew("wait", "vs/web").exit_code == 1
        assert "held at generation 1" in terminal.good("get", "vs")
        status = terminal.clew("status")
        assert status.exit_code == 1
        assert "because of VirtualService default/web, generation 2" in status.stdout
        assert "in force is generation 1" in status.stdout
        assert (
            json.loads(terminal.good("get", "vs/web", "-o", "json"))["status"]["heldAtGeneration"]
            == 1
        )


def test_wait_fails_when_time_is_over_and_names_whom_it_waits_for(home: Path) -> None:
    with server_thread(home, on_directory=silent_gateway):
        terminal = shell(home)
        terminal.good("apply", "-f", "-", input=f"{GATEWAY}---\n{ROUTES}")
        result = terminal.clew("wait", "vs/web", "--timeout", "0s")
        assert result.exit_code == 1
        assert "pending 0/1" in result.stderr
        assert "waits for router~10.0.0.1~ingress-0.default" in result.stderr


def test_an_object_that_concerns_no_proxy_is_not_waited_for(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    assert "it concerns none of the proxies" in mesh.good("wait", "vs/reviews")


def test_waiting_for_what_proxies_are_not_told_of_is_an_error(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input="{apiVersion: v1, kind: Namespace, metadata: {name: x}}")
    result = mesh.clew("wait", "ns/x")
    assert result.exit_code == 1
    assert "proxies do not acknowledge a Namespace" in result.stderr
    assert mesh.clew("wait", "vs/x", "--timeout", "soon").exit_code == 2


def test_a_command_waits_for_the_control_plane_of_a_mesh_that_runs(home: Path) -> None:
    """As when it is restarted after a crash."""
    directory = home / "default"
    directory.mkdir()
    results = []
    with (directory / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asking = threading.Thread(target=lambda: results.append(shell(home).clew("status")))
        asking.start()
        with server_thread(home):
            asking.join(30)
    assert results[0].exit_code == 0


def test_a_command_does_not_wait_where_no_mesh_runs(home: Path) -> None:
    result = shell(home).clew("status")
    assert result.exit_code == 1
    assert "no mesh" in result.stderr
