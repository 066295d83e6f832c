"""Services: decisions of routing, and the wizards that change them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from clew.api.explanations import Explanation
from clew.api.tap import TapEvent
from clew.model.base import ResourceKey
from clew.server.tap import Tap, TapFilter
from tests.console.conftest import PHONE, Console
from tests.console.test_screens import WIDER, check

RULE = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")
RULES = ResourceKey("networking.istio.io", "DestinationRule", "default", "reviews")
PATH = "/services/default/reviews.default.svc.cluster.local"


def http(console: Console) -> Any:
    return console.client.get(RULE)["spec"]["http"]


def apply(page: Page) -> None:
    page.get_by_text("The mesh accepts this.").wait_for()
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(PATH)


def test_routing_is_shown_as_decisions_with_object_and_line(page: Page, console: Console) -> None:
    page.goto("/services")
    page.get_by_role("link", name="reviews", exact=True).click()
    steps = page.get_by_role("region", name="inside the mesh").get_by_role("listitem")
    expect(steps).to_have_count(2)
    expect(steps.nth(0)).to_contain_text("header end-user is jason")
    expect(steps.nth(0)).to_contain_text("fault: abort 10 % with 503")
    expect(steps.nth(1)).to_contain_text("90 %reviews v1")
    steps.nth(1).get_by_role("link", name=re.compile(r"VirtualService reviews, line \d+")).click()
    expect(page.locator(".cm-activeLine")).to_contain_text("route:")


def test_a_slider_shifts_traffic(page: Page, console: Console) -> None:
    page.goto(f"{PATH}/shift")
    slider = page.get_by_role("slider", name="Share of v2")
    expect(slider).to_have_value("10")
    slider.fill("30")
    expect(page.get_by_role("slider", name="Share of v1")).to_have_value("70")
    expect(page.locator(".add")).to_have_text([re.compile("weight: 70"), re.compile("weight: 30")])
    apply(page)
    assert [each["weight"] for each in http(console)[1]["route"]] == [70, 30]
    expect(page.get_by_text("70 %")).to_be_visible()


def test_a_slider_moves_by_keys(page: Page, console: Console) -> None:
    page.goto(f"{PATH}/shift")
    slider = page.get_by_role("slider", name="Share of v2")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Percent of v2")).to_have_value("15")
    expect(page.get_by_label("Percent of v1")).to_have_value("85")


def test_shares_without_any_rule_make_both_rules(page: Page, console: Console) -> None:
    console.client.delete(RULE)
    console.client.delete(RULES)
    page.goto(f"{PATH}/shift")
    page.get_by_role("button", name="All to v1").click()
    expect(page.get_by_text("DestinationRule default/reviews (new)")).to_be_visible()
    apply(page)
    assert http(console) == [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]
    subsets = console.client.get(RULES)["spec"]["subsets"]
    assert subsets == [{"name": "v1", "labels": {"version": "v1"}}]


def test_requests_that_fit_are_routed(page: Page, console: Console) -> None:
    page.goto(f"{PATH}/route")
    expect(page.get_by_text("Nothing is different yet.")).to_be_visible()
    page.get_by_label("named").fill("x-beta")
    page.get_by_label("value").fill("yes")
    page.get_by_label("then send it to").select_option(label="reviews v2")
    apply(page)
    assert http(console)[0] == {
        "match": [{"headers": {"x-beta": {"exact": "yes"}}}],
        "route": [{"destination": {"host": "reviews", "subset": "v2"}}],
    }
    assert len(http(console)) == 3


def test_faults_come_and_go(page: Page, console: Console) -> None:
    page.goto(f"{PATH}/fault")
    page.get_by_label("Share of the requests, %").nth(0).fill("50")
    page.get_by_label("Seconds (0: no delay)").fill("2")
    apply(page)
    delay = {"percentage": {"value": 50}, "fixedDelay": "2s"}
    assert http(console)[1]["fault"] == {"delay": delay}
    expect(page.get_by_text("fault: delay 50 % by 2s")).to_be_visible()
    page.goto(f"{PATH}/fault")
    page.get_by_role("button", name="No faults").click()
    apply(page)
    assert "fault" not in http(console)[1]


def test_a_timeout_that_is_none_is_refused_before_it_is_applied(
    page: Page, console: Console
) -> None:
    page.goto(f"{PATH}/resilience")
    page.get_by_label(re.compile("^Timeout of a request")).fill("soon")
    expect(page.get_by_text("The mesh refuses this")).to_be_visible()
    expect(page.get_by_role("button", name="Apply")).to_be_disabled()
    page.get_by_label(re.compile("^Timeout of a request")).fill("3s")
    page.get_by_label(re.compile("^Retries")).fill("5")
    apply(page)
    assert http(console)[1]["timeout"] == "3s"
    assert http(console)[1]["retries"] == {"attempts": 5}


def event(path: str, **more: Any) -> TapEvent:
    """A call of productpage for reviews."""
    given = {"status": 200, "destination": "default/reviews-v1", **more}
    return TapEvent(
        at="2026-03-01T12:00:00.123Z",
        reporter="source",
        source="default/productpage-v1",
        method="GET",
        authority="reviews:9080",
        path=path,
        protocol="HTTP/1.1",
        duration=12.3,
        cluster="outbound|9080|v1|reviews.default.svc.cluster.local",
        **given,
    )


def test_requests_are_shown_while_somebody_watches(
    page: Page, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What proxies would tell comes through the API's own stream."""
    why = Explanation(
        flag="UH",
        says="found no healthy endpoint",
        hint="see: clew ps",
        objects=("DestinationRule default/reviews",),
    )
    failed = event("/broken", status=503, flags=("UH",), explanations=(why,), missed=7)
    asked, left = [], threading.Event()

    async def watch(self: Tap, wanted: TapFilter, seconds: float) -> AsyncIterator[TapEvent]:
        asked.append((wanted, seconds))
        left.clear()
        try:
            for each in (event("/first", trace="a" * 32), failed, event("/last")):
                yield each
            await asyncio.Event().wait()
        finally:
            left.set()

    monkeypatch.setattr(Tap, "watch", watch)
    page.goto(PATH)
    live = page.get_by_role("region", name="Live requests")
    expect(live).to_contain_text("clew tap --to reviews")
    assert asked == []  # it costs something
    live.get_by_role("button", name="Watch requests").press("Enter")
    rows = live.locator("tbody")
    expect(rows).to_have_count(3)
    assert asked == [(TapFilter(called="reviews"), 300.0)]
    expect(live).to_contain_text("3 requests, 1 failed, 7 more not shown")
    expect(rows.first).to_contain_text("GET /last")
    expect(rows.last.get_by_role("link", name="trace of GET /first")).to_have_attribute(
        "href", f"/traces/{'a' * 32}"
    )
    live.get_by_role("checkbox", name="Failed only").check()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("It found no healthy endpoint.")
    expect(rows.get_by_role("link", name="DestinationRule default/reviews")).to_be_visible()
    live.get_by_role("button", name="Hold").click()
    expect(live.get_by_role("status")).to_contain_text("stands still")
    page.evaluate(AXE_SCRIPT)
    found = check(page, "light")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    assert found + check(page, "phone, dark") == []
    assert page.evaluate(WIDER) <= 0
    assert not left.is_set()
    live.get_by_role("button", name="Stop").click()
    expect(live.get_by_role("status")).to_contain_text("Stopped")
    assert left.wait(20)
    live.get_by_role("button", name="Watch requests").click()
    expect(live.get_by_role("status")).to_contain_text("ends by itself")  # The old rows are gone.
    expect(rows).to_have_count(1)
    assert not left.is_set()
    page.get_by_role("link", name="Services").first.click()
    assert left.wait(20)


def test_who_may_not_watch_is_told_who_may(page: Page, console: Console) -> None:
    refusal = {"reason": "Forbidden", "message": '"ada" is viewer here, and this needs admin'}
    page.route("**/v1/tap?*", lambda route: route.fulfill(status=403, json={"error": refusal}))
    page.goto(PATH)
    live = page.get_by_role("region", name="Live requests")
    live.get_by_role("button", name="Watch requests").click()
    expect(live.get_by_role("alert")).to_contain_text("ada")
    expect(live.get_by_role("alert")).to_contain_text("clew token create --role admin")
    expect(live.get_by_role("button", name="Watch requests")).to_be_visible()
