"""What is wrong shows at once, without a reload, and leads to its cause."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from clew.model.base import ResourceKey
from tests.console.conftest import Console
from tests.server.shop import ROUTES

RULE = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")
NOWHERE = ROUTES.replace("subset: v1}, weight", "subset: v9}, weight")


def test_a_route_to_nowhere_shows_at_once_and_leads_to_its_line(
    page: Page, console: Console
) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong")
    page.get_by_text("live", exact=True).wait_for()
    console.client.apply(NOWHERE, author="mallory")
    trouble = page.get_by_role("region", name="Verdict").get_by_role("link")
    expect(trouble).to_contain_text('no DestinationRule has the subset "v9"')
    expect(page.get_by_label("1 problems")).to_be_visible()
    expect(page.get_by_text("changed by mallory")).to_be_visible()
    trouble.click()
    expect(page.locator(".cm-activeLine")).to_contain_text("destination")
    expect(page.locator(".cm-lintRange-warning")).to_be_visible()


def test_a_change_is_rolled_back_from_where_it_is_seen(page: Page, console: Console) -> None:
    console.client.apply(NOWHERE, author="mallory")
    page.get_by_role("button", name="Roll back").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".del")).to_contain_text("subset: v9")
    expect(dialog.locator(".add")).to_contain_text("subset: v1")
    dialog.get_by_role("button", name="Roll back").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong")
    expect(page.get_by_text("rolled back by grace")).to_be_visible()
    restored = console.client.get(RULE)["spec"]["http"][1]["route"][0]["destination"]
    assert restored["subset"] == "v1"


def test_pods_that_are_not_ready_and_their_service_show(page: Page, console: Console) -> None:
    page.get_by_text("live", exact=True).wait_for()
    for name in ("reviews-v1-0", "reviews-v2-0"):
        key = ResourceKey("", "Pod", "default", name)
        status = console.client.get(key)["status"]
        status["conditions"] = [{"type": "Ready", "status": "False", "reason": "Crashed"}]
        console.client.put_status(key, status)
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict.get_by_role("heading")).to_have_text("1 problem and 2 warnings")
    verdict.get_by_role("link", name="no healthy endpoint").click()
    expect(page.get_by_text("0 of 2 healthy").first).to_be_visible()
    expect(page.get_by_text("none of its endpoints is healthy").first).to_be_visible()
