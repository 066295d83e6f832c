from __future__ import annotations

import json
from pathlib import Path

from tests.cli.mesh import HALF, REVIEWS, Shell, shell
from tests.cli.test_wait import GATEWAY, REFUSED, ROUTES, ingress_gateway
from tests.server.api_server import server_thread


def test_an_object_is_described_with_its_last_changes(mesh: Shell) -> None:
    for text in (REVIEWS, HALF):
        mesh.good("apply", "-f", "-", input=text)
    output = mesh.good("describe", "vs", "reviews")
    assert "Name:         reviews\nNamespace:    default\n" in output
    assert "Kind:         VirtualService (networking.istio.io/v1)" in output
    assert "Spec:\n  hosts:\n  - reviews\n" in output
    nobody = "In force:\n  no proxy: it concerns none of the proxies that are connected\n"
    assert nobody in output
    assert "Problems:\n  Warning [IST0101] VirtualService default/reviews" in output
    assert "Changes:\n  REVISION" in output
    assert "weight: 90 → 50" in output


def test_what_the_objects_own_proxies_say_is_part_of_the_description(home: Path) -> None:
    with server_thread(home, on_directory=ingress_gateway):
        terminal = shell(home)
        terminal.good("apply", "-f", "-", "--wait", input=f"{GATEWAY}---\n{ROUTES}")
        output = terminal.good("describe", "vs/web")
        assert "In force:\n  in force 1/1: 1 of 1 proxies acknowledged generation 1\n" in output
        described = json.loads(terminal.good("describe", "vs/web", "-o", "json"))
        assert list(described) == ["object", "inForce", "problems", "history"]
        terminal.clew("apply", "-f", "-", "--wait", input=REFUSED)
        assert "  held at generation 1: refused http.80: no" in terminal.good(
            "describe", "vs", "web"
        )
        assert "held" not in terminal.good("describe", "gw", "web")


def test_warnings_are_problems_of_the_description(mesh: Shell) -> None:
    plugin = (
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: t}\n"
        "spec: {url: oci://example.com/t}"
    )
    mesh.clew("apply", "-f", "-", input=plugin)
    assert "not yet effective" in mesh.good("describe", "wasmplugin", "t")


def test_a_field_without_effect_is_told_once(mesh: Shell) -> None:
    text = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r}\n"
        "spec: {host: a, trafficPolicy: {loadBalancer: {backendUtilization: {}}}}"
    )
    applied = mesh.clew("apply", "-f", "-", input=text)
    assert "  spec.trafficPolicy.loadBalancer.backendUtilization: not supp" in applied.stderr
    assert mesh.good("describe", "dr", "r").count("not supported: accepted without effect") == 1


def test_an_absent_object_is_an_error(mesh: Shell) -> None:
    result = mesh.clew("describe", "vs", "nothing")
    assert result.exit_code == 1
    assert "there is no VirtualService default/nothing" in result.stderr
