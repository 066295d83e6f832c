from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from clew.api.messages import ProxyStatus, TypeStatus
from clew.api.views import AUTHORITY, EVERY_PROXY, Trouble
from clew.cli.trouble_text import cause
from clew.model.diagnostic import Diagnostic, Place, Severity
from tests.cli.mesh import REVIEWS, Shell, shell
from tests.server.api_server import server_thread

ACKED = TypeStatus(state="acked", version="1")
WELL = ProxyStatus(
    name="details-v1-0",
    namespace="default",
    address="10.0.0.2",
    version="1.40.0",
    certificate_ends=time.time() + 24 * 3600,
    types={"CDS": ACKED, "LDS": ACKED, "EDS": ACKED, "RDS": TypeStatus(state="pending")},
)
REJECTING = ProxyStatus(
    name="reviews-v1-0",
    namespace="default",
    types={
        "CDS": TypeStatus(state="nacked", error="no such filter", resources=("outbound|80||a",))
    },
)


def test_proxies_are_shown_by_type(home: Path) -> None:
    with server_thread(home, proxies=(WELL,)):
        header, row, *_ = shell(home).good("status").splitlines()
        assert header.split() == [
            *("NAME", "CONNECTED", "CDS", "LDS", "EDS", "RDS", "VERSION", "CERTIFICATE", "ADDRESS"),
        ]
        assert row.split() == [
            *("details-v1-0.default", "yes", "SYNCED", "SYNCED", "SYNCED", "PENDING"),
            *("1.40.0", "24h", "10.0.0.2"),
        ]


def test_a_certificate_that_has_expired_is_a_problem(home: Path) -> None:
    expired = msgspec.structs.replace(WELL, certificate_ends=time.time() - 1)
    with server_thread(home, proxies=(expired,)):
        result = shell(home).clew("status")
    assert result.exit_code == 1
    assert "EXPIRED" in result.stdout


def test_a_rejection_is_shown_and_is_a_problem(home: Path) -> None:
    with server_thread(home, proxies=(WELL, REJECTING)):
        result = shell(home).clew("status")
        assert result.exit_code == 1
        assert "reviews-v1-0.default rejected CDS: no such filter" in result.stdout
        assert "resources: outbound|80||a" in result.stdout
        printed = json.loads(shell(home).clew("status", "-o", "json").stdout)
        assert printed["proxies"][1]["types"]["CDS"]["state"] == "nacked"
        assert printed["problems"] == []


def test_a_lost_proxy_and_bad_configuration_are_problems(home: Path) -> None:
    lost = ProxyStatus(name="x", connected=False)
    bad = Diagnostic(severity=Severity.ERROR, place=Place(file="a.yaml", line=3), problem="is bad")
    with server_thread(home, proxies=(lost,)):
        result = shell(home).clew("status")
        assert result.exit_code == 1
        assert result.stdout.splitlines()[1].split()[:2] == ["x", "NO"]
    with server_thread(home, mesh="other", problems=(bad,)):
        result = shell(home, CLEW_MESH="other").clew("status")
        assert result.exit_code == 1
        assert "a.yaml:3" in result.stdout


def test_a_mesh_without_proxies_says_so(mesh: Shell) -> None:
    result = mesh.clew("status")
    assert result.exit_code == 0
    assert result.stderr == "No proxy is connected.\n"


def test_what_is_wrong_is_told_with_the_command_that_shows_its_cause(mesh: Shell) -> None:
    mesh.good("apply", "-f", "-", input=REVIEWS)
    printed = mesh.clew("status").stdout
    assert "What is wrong now:\n  warning: VirtualService default/reviews: " in printed
    assert "cause: clew describe virtualservice reviews  # spec.http[0].route[0]" in printed
    troubles = json.loads(mesh.clew("status", "-o", "json").stdout)["troubles"]
    assert troubles[0]["object"]["name"] == "reviews"


@pytest.mark.parametrize(
    ("trouble", "command"),
    [
        (Trouble(severity="error", problem="", service="a/b.a.svc.cluster.local"),
         "clew describe service b -n a"),
        (Trouble(severity="error", problem="", proxy="sidecar~10.0.0.1~b-0.a~x"),
         "clew logs b-0 --proxy"),
        (Trouble(severity="error", problem="", view=AUTHORITY), "clew ca status"),
        (Trouble(severity="error", problem="", proxy=EVERY_PROXY), ""),
        (Trouble(severity="error", problem="", service="a/b.com"), ""),
    ],
)  # fmt: skip
def test_each_cause_has_a_command(trouble: Trouble, command: str) -> None:
    assert cause(trouble) == command
