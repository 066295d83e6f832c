"""The console before a whole mesh: what is done in it happens to requests, and shows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from clew.api.client import Client
from clew.model.base import ResourceKey
from tests.console.conftest import ALL_TO_V1
from tests.e2e.mesh import REVIEWS, Mesh, eventually, needs_root

pytestmark = needs_root

SERVICE = "/services/default/reviews.default.svc.cluster.local"


@pytest.fixture
def page(mesh_page: Page) -> Page:
    return mesh_page


@pytest.fixture
def reviews(mesh: Mesh) -> Iterator[None]:
    """Requests for reviews go to v1 again in the end."""
    yield
    applied = mesh.clew("apply", "--wait", "-f", "-", text=ALL_TO_V1)
    assert applied.returncode == 0, applied.stderr


def versions(mesh: Mesh, count: int) -> list[str]:
    """Which version answered each of so many requests."""
    return [_version(mesh.get(REVIEWS)) for _ in range(count)]


def _version(answer: tuple[int, bytes]) -> str:
    status, body = answer
    assert status == 200, body
    return str(json.loads(body)["podname"]).split("-")[1]


@pytest.mark.usefixtures("reviews")
def test_a_slider_moves_requests(page: Page, mesh: Mesh) -> None:
    assert set(versions(mesh, 20)) == {"v1"}
    page.goto(f"{SERVICE}/shift")
    page.get_by_role("slider", name="Share of v3").fill("30")
    page.get_by_text("The mesh accepts this.").wait_for()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("proxies acknowledged generation").first).to_be_visible()
    answers = versions(mesh, 200)
    # Six standard deviations of 200 draws at 30 % are 39.
    assert 21 <= answers.count("v3") <= 99
    assert "v2" not in answers
    chart = page.get_by_role("figure").filter(has_text="Requests")
    expect(chart.get_by_text("v3")).to_be_visible()
    expect(chart.get_by_role("link", name="VirtualService default/reviews").first).to_be_visible()


def test_the_graph_comes_alive_and_its_rates_are_those_of_the_requests(
    page: Page, mesh: Mesh
) -> None:
    page.goto("/graph?view=table&type=versioned")
    begin, sent = time.monotonic(), 0
    edge = page.get_by_role("row").filter(has_text=re.compile("^istio-ingress.*productpage"))
    while time.monotonic() - begin < (60 if not edge.count() else 20):
        assert mesh.get(REVIEWS)[0] == 200
        sent += 1
    expect(edge).to_contain_text("all of it")  # over mTLS
    graph = page.request.get("/v1/traffic?window=60").json()
    gone = [each for each in graph["edges"] if "ingressgateway" in each["source"]]
    counted = sum(each["traffic"]["requests"] for each in gone)
    # What went before, by other tests, may be in the window too; the last seconds are on their way.
    assert counted >= sent * 0.8
    page.get_by_role("button", name="Show the graph").click()
    expect(page.get_by_role("application")).to_have_attribute("aria-label", re.compile("nodes and"))


def test_a_request_is_a_trace_with_all_its_hops(page: Page, mesh: Mesh) -> None:
    assert mesh.get("/productpage")[0] == 200
    page.goto("/traces?service=details.default")
    page.get_by_role("link", name="productpage").first.click()
    spans = page.get_by_role("listitem").filter(has_text="took the call")
    for service in ("productpage.default", "details.default", "reviews.default"):
        expect(spans.filter(has_text=service).first).to_be_visible()
    spans.filter(has_text="details.default").first.get_by_role("button").click()
    expect(page.get_by_text("the program, port 9080")).to_be_visible()


def test_requests_of_a_service_show_as_they_happen(page: Page, mesh: Mesh) -> None:
    page.goto(SERVICE)
    live = page.get_by_role("region", name="Live requests")
    live.get_by_role("button", name="Watch requests").click()
    row = live.locator("tbody").filter(has_text="productpage-v1").first

    def is_shown() -> bool:
        assert mesh.get("/productpage")[0] == 200
        return row.is_visible()

    eventually(is_shown, what="a request")
    expect(row).to_contain_text("GET /reviews/0")
    expect(row).to_contain_text(re.compile(r"reviews-v\d"))
    expect(row).to_contain_text("200")
    row.get_by_role("link", name=re.compile("^trace of")).click()
    expect(page).to_have_url(re.compile("/traces/[0-9a-f]{32}"))


def test_security_tells_of_the_identities_and_certificates_of_proxies(page: Page) -> None:
    page.goto("/security")
    row = page.get_by_role("row", name=re.compile("bookinfo-productpage"))
    expect(row.get_by_role("button", name=re.compile("to ratings.*every request"))).to_be_visible()
    page.get_by_role("link", name="Certificates", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("^productpage-v1"))).to_contain_text("23h")


@pytest.mark.usefixtures("reviews")
def test_the_overview_comes_alive_and_names_a_workload_that_ended(page: Page, mesh: Mesh) -> None:
    all_to_v3 = ALL_TO_V1.replace("subset: v1", "subset: v3")
    assert mesh.clew("apply", "--wait", "-f", "-", text=all_to_v3).returncode == 0
    eventually(lambda: mesh.get(REVIEWS)[0] == 200, what="an answer")
    # What other tests brought about is told for a minute.
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong", timeout=90_000)
    expect(page.get_by_text("100 %", exact=True)).to_be_visible()  # over mTLS
    deployment = ResourceKey("apps", "Deployment", "default", "reviews-v3")
    with Client(mesh.directory / "api.sock") as client:
        client.delete(deployment)
        try:
            verdict = page.get_by_role("region", name="Verdict")
            expect(verdict.get_by_role("link").first).to_be_visible()
        finally:
            client.rollback(deployment)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong")
