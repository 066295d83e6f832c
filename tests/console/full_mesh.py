"""A mesh with something on every screen: traffic, a trace, a proxy, policies, trouble."""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.serialization import Encoding

from clew.api.client import Client
from clew.api.traffic_report import ProxyFacts
from clew.server.directory import Directory
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_window import TrafficWindow
from tests.ca.issuer import Issuer
from tests.cli.test_wait import GATEWAY, REFUSED, ingress_gateway
from tests.cli.test_wait import ROUTES as WEB
from tests.console.conftest import opened
from tests.console.test_graph import counts, edge, tell
from tests.console.test_security import POLICIES
from tests.console.test_traces import span
from tests.server.api_server import server_thread
from tests.server.shop import ROUTES, SHOP

HOST = "reviews.default.svc.cluster.local"
RULE = "/configuration/networking.istio.io/VirtualService/default/reviews"
NODE = "router~10.0.0.1~ingress-0.default~default.svc.cluster.local"
# One that is kept; each has its duration as its id.
TRACE = f"{300:032x}"


@contextmanager
def full_mesh() -> Iterator[tuple[str, TrafficWindow]]:
    """Yield the address of its console, and what it is told of traffic."""
    directories: list[Directory] = []
    reports: list[TrafficReports] = []

    def connect(directory: Directory) -> None:
        directories.append(directory)
        ingress_gateway(directory)

    def hear(found: TrafficReports) -> None:
        reports.append(found)
        now = time.time()
        facts = ProxyFacts(version="1.40.0", certificate_begins=now, certificate_ends=now + 86400)
        directories[0].tell(found.come, found.gone, lambda _: facts)

    with (
        tempfile.TemporaryDirectory(prefix="clew") as home,
        server_thread(Path(home), on_directory=connect, on_reports=hear) as socket,
        Client(socket) as client,
        opened(socket) as url,
    ):
        good = (SHOP, ROUTES, POLICIES, GATEWAY, WEB, _certificate())
        for text in good:
            report = client.apply(text, author="ada")
            assert all(item.result == "created" for item in report.items), report
        client.apply(ROUTES.replace("subset: v1}, weight", "subset: v9}, weight"), author="bob")
        client.apply(REFUSED, author="mallory")
        _trace(socket)
        requests_come(reports[0].window)
        yield url, reports[0].window


def _certificate() -> str:
    """A Secret whose certificate ends soon."""
    now = datetime.now(UTC)
    leaf = Issuer.root("Web", now).leaf("spiffe://x/ns/default/sa/web", now, timedelta(days=9))
    pem = base64.b64encode(leaf.certificate.public_bytes(Encoding.PEM)).decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "web"},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": pem},
    }
    return json.dumps(secret)


def _trace(socket: Path) -> None:
    spans = [span("web", 1, 0, took=300), span("reviews", 2, 1, took=300, flags="UF,URX")]
    transport = httpx2.HTTPTransport(uds=str(socket))
    with httpx2.Client(transport=transport, base_url="http://clew") as http:
        body = json.dumps({"resourceSpans": spans})
        kind = {"Content-Type": "application/json"}
        assert http.post("/v1/traces", content=body, headers=kind).is_success
        deadline = time.monotonic() + 20
        while not http.get("/v1/traces").json()["items"]:
            assert time.monotonic() < deadline


def requests_come(window: TrafficWindow) -> None:
    """A second's; views show those of the last minute, and charts those of steps that are over."""
    failing = {
        edge("web-v1", "reviews", "v1"): counts(90),
        edge("web-v1", "reviews", "v2"): counts(10, 4),
        edge("", "reviews", "v1"): counts(5, encrypted=False),
    }
    tell(window, failing)
    tell(window, failing, ago=100.0)
