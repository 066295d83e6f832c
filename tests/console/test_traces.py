"""Traces: found by what is asked for, and one shown hop by hop in words."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import PHONE, Console

NODE = "sidecar~10.0.0.1~reviews-v2-0.default~default.svc.cluster.local"


def span(service: str, number: int, parent: int, *, took: int, flags: str = "-") -> dict[str, Any]:
    """One span of `took` milliseconds, as Envoy sends it."""
    start = time.time_ns() - 5 * 10**9 + number * 10**6
    said = {
        "response_flags": flags,
        "upstream_cluster": "outbound|9080|v1|ratings.default.svc.cluster.local",
        "http.method": "GET",
        "http.url": "http://ratings:9080/ratings/0",
        "http.status_code": "200" if flags == "-" else "503",
        "peer.address": "10.0.0.1",
        "node_id": NODE,
    }
    one = {
        "traceId": f"{took:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": f"{service}:9080/*",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + took * 10**6),
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in said.items()],
        "status": {} if flags == "-" else {"code": 2},
    }
    name = {"key": "service.name", "value": {"stringValue": f"{service}.default"}}
    return {"resource": {"attributes": [name]}, "scopeSpans": [{"spans": [one]}]}


@pytest.fixture(autouse=True)
def traced(console: Console) -> None:
    """A slow request that failed, of two hops, and a fast one."""
    socket = httpx2.HTTPTransport(uds=str(console.home / "default" / "api.sock"))
    with httpx2.Client(transport=socket, base_url="http://clew") as http:
        slow = [span("web", 1, 0, took=300), span("reviews", 2, 1, took=300, flags="UF,URX")]
        for spans in (slow, [span("web", 3, 0, took=2)]):
            body = json.dumps({"resourceSpans": spans})
            kind = {"Content-Type": "application/json"}
            assert http.post("/v1/traces", content=body, headers=kind).is_success
        deadline = time.monotonic() + 20
        while len(http.get("/v1/traces").json()["items"]) < 2:
            assert time.monotonic() < deadline


def test_traces_are_found_by_service_status_and_duration(page: Page) -> None:
    page.goto("/traces")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(3)
    page.get_by_label("Service", exact=True).fill("reviews.default")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("1 failed")
    page.get_by_label("Service", exact=True).fill("web.default")
    expect(rows).to_have_count(3)
    page.get_by_label("Took at least").fill("100ms")
    page.get_by_label("Took at least").press("Enter")
    expect(rows).to_have_count(2)
    page.get_by_label("Status").select_option("error")
    page.get_by_label("Time").select_option("300")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile("minDuration=100ms&status=error&last=300"))
    page.get_by_label("Took at least").fill("soon")
    page.get_by_label("Took at least").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("minDuration")


def test_a_span_that_failed_is_open_and_says_why(page: Page) -> None:
    page.goto("/traces?status=error")
    page.get_by_role("link", name="web:9080/*").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("web:9080/*")
    spans = page.get_by_role("button", expanded=True).or_(
        page.get_by_role("button", expanded=False)
    )
    expect(spans).to_have_count(2)
    failed = page.get_by_role("listitem").filter(has_text="the connection to the endpoint failed")
    expect(failed).to_contain_text("ratings.default.svc.cluster.local:9080, subset v1")
    expect(failed).to_contain_text("sidecar reviews-v2-0.default")
    expect(failed.get_by_role("link", name="of ratings")).to_have_attribute(
        "href", "/services/default/ratings.default.svc.cluster.local"
    )
    spans.first.click()
    expect(page.get_by_role("button", expanded=True)).to_contain_text("web.default")
    expect(page).to_have_url(re.compile("span="))
    page.set_viewport_size(PHONE)
    width = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(width) <= 0


def test_a_trace_that_is_not_kept_says_so(page: Page) -> None:
    page.goto("/traces/77")
    expect(page.get_by_role("alert")).to_contain_text("there is no trace 77")
