"""Objects: found by filters, edited under the eyes of the mesh, compared, brought back."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from clew.model.base import ResourceKey
from tests.console.conftest import Console
from tests.server.shop import ROUTES

RULE = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")
PATH = "/configuration/networking.istio.io/VirtualService/default/reviews"
SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {key: very-secret}}"


def edit(page: Page, old: str, new: str) -> None:
    """Change a text in the editor, as with its cursor and keys."""
    editor = page.get_by_role("textbox", name="YAML of the object")
    text = page.locator(".cm-line").all_text_contents()
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text("\n".join(text).replace(old, new, 1))


def test_filters_narrow_the_list_down_and_are_in_the_address(page: Page, console: Console) -> None:
    page.goto("/configuration")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(3)  # the heading, VirtualService and DestinationRule
    page.get_by_label("What runs, too").check()
    expect(rows).to_have_count(6)
    page.get_by_label("Kind").select_option("Pod")
    page.get_by_label("Filter by name").fill("v2")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile(r"kind=Pod&text=v2|all=true&kind=Pod&text=v2"))
    page.reload()
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="reviews-v2-0").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("reviews-v2-0")


def test_an_error_is_marked_at_its_line_and_cannot_be_applied(page: Page, console: Console) -> None:
    page.goto(PATH)
    page.locator(".cm-content").wait_for()
    edit(page, "timeout: 2s", "timeout: soon")
    marked = page.locator(".cm-line", has=page.locator(".cm-lintRange-error"))
    expect(marked).to_contain_text("timeout: soon")
    expect(page.get_by_role("button", name="Review and apply")).to_be_disabled()
    expect(page.get_by_text(re.compile(r"line \d+ · spec.http\[0\].timeout"))).to_be_visible()
    edit(page, "timeout: soon", "timeot: 3s")
    expect(page.get_by_text("did you mean")).to_be_visible()
    assert console.client.get(RULE)["spec"]["http"][0]["timeout"] == "2s"


def test_a_change_is_reviewed_applied_and_is_history(page: Page, console: Console) -> None:
    page.goto(PATH)
    page.locator(".cm-content").wait_for()
    edit(page, "timeout: 2s", "timeout: 7s")
    page.get_by_role("button", name="Review and apply").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".add")).to_have_text(re.compile("timeout: 7s"))
    dialog.get_by_text("The mesh accepts this.").wait_for()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_have_count(0)
    assert console.client.get(RULE)["spec"]["http"][0]["timeout"] == "7s"
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text(
        re.compile(r"Revision \d+ → \d+")
    )
    expect(page.locator(".add")).to_have_text(re.compile("timeout: 7s"))
    expect(page.get_by_text("changed by grace")).to_be_visible()

    page.get_by_role("link", name="created by ada").click()
    page.get_by_role("button", name="Roll back to").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("rolled back by grace")).to_be_visible()
    assert console.client.get(RULE)["spec"]["http"][0]["timeout"] == "2s"


def test_a_warning_of_the_mesh_is_shown_before_it_is_true(page: Page, console: Console) -> None:
    page.goto(PATH)
    page.locator(".cm-content").wait_for()
    edit(page, "subset: v1", "subset: v7")
    expect(page.get_by_text('no DestinationRule has the subset "v7"')).to_be_visible()
    expect(page.locator(".cm-lintRange-warning")).to_be_visible()
    expect(page.get_by_role("button", name="Review and apply")).to_be_enabled()


def test_nobodys_change_is_overwritten_unseen(page: Page, console: Console) -> None:
    page.goto(PATH)
    page.locator(".cm-content").wait_for()
    edit(page, "timeout: 2s", "timeout: 7s")
    page.get_by_role("button", name="Review and apply").click()
    page.get_by_role("dialog").get_by_text("The mesh accepts this.").wait_for()
    console.client.apply(ROUTES.replace("weight: 90", "weight: 80"), author="bob")
    page.get_by_role("dialog").get_by_role("button", name="Apply").click()
    expect(page.get_by_role("dialog")).to_contain_text("changed meanwhile")
    found = console.client.get(RULE)["spec"]["http"]
    assert (found[0]["timeout"], found[1]["route"][0]["weight"]) == ("2s", 80)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Take the new version").click()
    expect(page.locator(".cm-content")).to_contain_text("weight: 80")


def test_what_is_not_edited_follows_the_mesh(page: Page, console: Console) -> None:
    page.goto(PATH)
    expect(page.locator(".cm-content")).to_contain_text("timeout: 2s")
    page.get_by_text("live", exact=True).wait_for()
    console.client.apply(ROUTES.replace("timeout: 2s", "timeout: 9s"))
    expect(page.locator(".cm-content")).to_contain_text("timeout: 9s")


def test_what_is_typed_is_not_lost_by_a_link(page: Page, console: Console) -> None:
    page.goto("/configuration")
    page.get_by_role("row", name="VirtualService").get_by_role("link", name="reviews").click()
    page.locator(".cm-content").wait_for()
    edit(page, "timeout: 2s", "timeout: 8s")
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="YAML").click()
    expect(page.locator(".cm-content")).to_contain_text("timeout: 8s")
    ways = (
        lambda: page.get_by_role("link", name="Services").click(),
        lambda: page.evaluate("() => history.go(-3)"),
    )
    dialog = page.get_by_role("dialog", name="Leave without applying")
    for leave in ways:
        leave()
        dialog.get_by_role("button", name="Stay").click()
        expect(page).to_have_url(re.compile(f"{PATH}$"))
        expect(page.locator(".cm-content")).to_contain_text("timeout: 8s")
    ways[0]()
    dialog.get_by_role("button", name="Leave").click()
    expect(page).to_have_url("/services")
    page.goto("/configuration/new")
    page.locator(".cm-content").wait_for()
    edit(page, "my-virtualservice", "mine")
    page.get_by_label("Kind").select_option(label="Gateway")
    dialog.get_by_role("button", name="Stay").click()
    expect(page.get_by_label("Kind").locator(":checked")).to_have_text("VirtualService")


def test_fields_and_names_of_the_mesh_are_completed(page: Page, console: Console) -> None:
    page.goto(PATH)
    page.get_by_role("textbox", name="YAML of the object").click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(ROUTES.partition("  - match")[0] + "  - ")
    page.keyboard.type("rou")
    options = page.locator(".cm-tooltip-autocomplete li")
    expect(options.first).to_contain_text("route")
    expect(options.first).to_contain_text("list of object")
    options.first.click()
    expect(page.locator(".cm-activeLine")).to_have_text("  - route:")
    page.keyboard.insert_text("\n    - destination:\n        host: ")
    page.keyboard.type("re")
    expect(options.first).to_contain_text("reviews")
    options.first.click()
    expect(page.locator(".cm-activeLine")).to_have_text("        host: reviews")
    expect(page.get_by_role("button", name="Review and apply")).to_be_enabled()


def test_an_object_is_created_and_deleted(page: Page, console: Console) -> None:
    page.goto("/configuration/new")
    page.get_by_label("Kind").select_option(label="PeerAuthentication")
    page.locator(".cm-content").get_by_text("STRICT").wait_for()
    edit(page, "my-peerauthentication", "only-mtls")
    page.get_by_role("button", name="Review and apply").click()
    page.get_by_role("dialog").get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("only-mtls")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url("/configuration")
    page.goto("/configuration/security.istio.io/PeerAuthentication/default/only-mtls?tab=history")
    expect(page.get_by_text("deleted by grace")).to_be_visible()


def test_references_lead_from_object_to_object(page: Page, console: Console) -> None:
    page.goto(f"{PATH}?tab=references")
    page.get_by_role("link", name="DestinationRule default/reviews").first.click()
    expect(page.get_by_text("DestinationRule", exact=True).first).to_be_visible()
    page.get_by_role("link", name="References").click()
    named_by = page.get_by_role("region", name="It is named by")
    named_by.get_by_role("link", name="VirtualService default/reviews").first.click()
    expect(page.locator(".cm-activeLine")).to_contain_text("subset")


def test_a_secret_keeps_its_values(page: Page, console: Console) -> None:
    console.client.apply(SECRET)
    page.goto("/configuration/core/Secret/default/s")
    expect(page.get_by_text("key: •••")).to_be_visible()
    expect(page.get_by_text("very-secret")).to_have_count(0)
    page.goto("/configuration/core/Secret/default/s?tab=history")
    expect(page.get_by_text("created by").first).to_be_visible()
    expect(page.get_by_text("very-secret")).to_have_count(0)
