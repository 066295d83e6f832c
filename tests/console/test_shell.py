"""What is around every view: addresses, keys, colours, and who may come in."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.console.conftest import Console

RULE = "/configuration/networking.istio.io/VirtualService/default/reviews"


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
