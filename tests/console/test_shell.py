"""What holds for every view: addresses, keys, landmarks, sizes, and nothing from elsewhere."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.console.conftest import DESK, PHONE, Console

HOST = "reviews.default.svc.cluster.local"
RULE = "/configuration/networking.istio.io/VirtualService/default/reviews"
VIEWS = {
    "/": "Nothing is wrong",
    "/graph": "Graph",
    "/graph?view=table": "Graph",
    "/services": "Services",
    f"/services/default/{HOST}": "reviews",
    f"/services/default/{HOST}/shift": "Shift traffic",
    f"/services/default/{HOST}/route": "Route requests",
    f"/services/default/{HOST}/fault": "Inject faults",
    f"/services/default/{HOST}/resilience": "Timeouts and retries",
    "/configuration": "Configuration",
    "/configuration/new": "New object",
    RULE: "reviews",
    f"{RULE}?tab=status": "reviews",
    f"{RULE}?tab=references": "reviews",
    f"{RULE}?tab=history": "reviews",
    "/traces": "Traces",
    "/proxies": "Proxies",
    "/security": "Security",
    "/security?tab=mtls": "Security",
    "/security?tab=certificates": "Security",
    "/security?tab=policies": "Security",
}
# Names of controls are what a screen reader says of them.
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, [tabindex='0']")]
  .filter((e) => e.offsetParent !== null && !e.classList.contains("skip"))
  .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length))
  .map((e) => e.outerHTML.slice(0, 120))"""
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_each_view_has_its_address_heading_landmarks_and_names_and_fits_a_phone(
    page: Page,
) -> None:
    for path, title in VIEWS.items():
        _check(page, path, title)


def _check(page: Page, path: str, title: str) -> None:
    page.set_viewport_size(DESK)
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()
    expect(page.get_by_text("This view as JSON")).to_be_visible()
    twin = page.get_by_role("contentinfo").or_(page.locator("footer.foot")).first
    address = twin.get_by_role("link").first.get_attribute("href")
    assert address is not None
    assert page.request.get(address).ok
    assert page.evaluate(NAMELESS) == [], path
    page.set_viewport_size(PHONE)
    assert page.evaluate(WIDER) <= 0, path


def test_an_address_that_is_none_says_so(page: Page) -> None:
    page.goto("/nowhere/at/all")
    expect(page.get_by_role("heading", level=1)).to_contain_text("nothing at this address")
    page.goto("/configuration/core/Pod/default/nobody")
    expect(page.get_by_text("There is no Pod default/nobody")).to_be_visible()
    page.goto("/services/default/nobody")
    expect(page.get_by_role("alert")).to_contain_text("nobody")


def test_keys_go_everywhere(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page).to_have_url("/configuration")
    page.get_by_role("heading", name="Configuration").wait_for()
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Go to")
    expect(box).to_be_focused()
    box.fill("reviews destinationrule")
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(1)
    box.press("Enter")
    expect(page).to_have_url(RULE.replace("VirtualService", "DestinationRule"))
    page.go_back()
    expect(page).to_have_url("/configuration")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Go to a service")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/")
    page.get_by_role("heading", level=1).wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_dark_and_light_follow_the_system_until_somebody_chooses(page: Page) -> None:
    def background() -> Any:
        return page.evaluate("() => getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    page.reload()
    page.get_by_role("button", name="Use light colours").click()
    assert background() == light
    page.reload()
    page.get_by_role("button", name="Use dark colours").wait_for()
    assert background() == light


def test_it_is_small_at_once_there_and_asks_nobody_else(page: Page, console: Console) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(RULE)
    page.locator(".cm-content").wait_for()
    assert hosts == {console.url.split("/")[2]}
    sizes = """() => performance.getEntriesByType("resource")
        .filter((e) => e.name.includes("/assets/"))
        .reduce((sum, e) => sum + e.encodedBodySize, 0)"""
    assert 50_000 < page.evaluate(sizes) < 300_000
    page.goto("/")
    page.get_by_role("heading", level=1).wait_for()
    paint = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert page.evaluate(paint) < 1_000


def test_a_browser_that_was_not_let_in_is_told_how(page: Page, console: Console) -> None:
    page.context.clear_cookies()
    response = page.goto("/")
    assert response is not None
    assert response.status == 401
    expect(page.get_by_text("clew dashboard")).to_be_visible()
    response = page.goto(console.url)
    assert response is not None
    assert response.status == 401


def test_where_a_token_is_needed_the_page_asks_for_it_and_sends_it(page: Page) -> None:
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append(authorization := route.request.headers.get("authorization", ""))
        if authorization == "Bearer let-me-in":
            route.continue_()
        else:
            problem = {"reason": "Unauthorized", "message": "this needs a token", "hint": ""}
            route.fulfill(status=401, json={"error": problem})

    page.route("**/v1/**", answer)
    page.reload()
    expect(page.get_by_text("this needs a token")).to_be_visible()
    page.get_by_label("A token of this mesh").fill("let-me-in")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    assert sent[0] == ""


def test_a_page_that_found_nobody_is_right_again_once_somebody_answers(page: Page) -> None:
    page.get_by_text("live", exact=True).wait_for()
    page.route("**/v1/**", lambda route: route.abort())
    page.goto("/services")
    page.unroute("**/v1/**")
    expect(page.get_by_role("link", name="reviews", exact=True)).to_be_visible()
