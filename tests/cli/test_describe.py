from __future__ import annotations

import json
from pathlib import Path

from tests.cli.mesh import HALF, REVIEWS, Shell, shell
from tests.cli.test_status import REJECTING, WELL
from tests.server.api_server import server_thread


def test_an_object_is_described_with_its_last_changes(mesh: Shell) -> None:
    for text in (REVIEWS, HALF):
        mesh.good("apply", "-f", "-", input=text)
    output = mesh.good("describe", "vs", "reviews")
    assert "Name:         reviews\nNamespace:    default\n" in output
    assert "Kind:         VirtualService (networking.istio.io/v1)" in output
    assert "Spec:\n  hosts:\n  - reviews\n" in output
    assert "Proxies:\n  none is connected\nProblems:\n  none\nChanges:\n  REVISION" in output
    assert "weight: 90 → 50" in output


def test_what_proxies_say_is_part_of_the_description(home: Path) -> None:
    with server_thread(home, proxies=(WELL, REJECTING)):
        terminal = shell(home)
        terminal.good("apply", "-f", "-", input=REVIEWS)
        output = terminal.good("describe", "vs/reviews")
        assert "0 of 2 have confirmed the newest configuration of the mesh" in output
        assert "  reviews-v1-0.default rejected CDS: no such filter" in output
        described = json.loads(terminal.good("describe", "vs/reviews", "-o", "json"))
        assert list(described) == ["object", "problems", "rejections", "history"]


def test_warnings_are_problems_of_the_description(mesh: Shell) -> None:
    telemetry = "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t}\nspec: {}"
    mesh.clew("apply", "-f", "-", input=telemetry)
    assert "not yet effective" in mesh.good("describe", "telemetry", "t")


def test_an_absent_object_is_an_error(mesh: Shell) -> None:
    result = mesh.clew("describe", "vs", "nothing")
    assert result.exit_code == 1
    assert "there is no VirtualService default/nothing" in result.stderr
