"""Security: who may call whom and why, what is demanded, certificates, and what is wrong."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.console.conftest import PHONE, Console
from tests.server.shop import SHOP

POLICIES = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: default}
spec:
  selector: {matchLabels: {app: reviews}}
  action: ALLOW
  rules:
  - to: [{operation: {methods: [GET]}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: STRICT}}
"""
SIDECAR = "security.istio.io/tlsMode: istio"
WIDTH = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_a_cell_of_the_matrix_leads_to_the_rule_that_decides(page: Page, console: Console) -> None:
    console.client.apply(SHOP.replace("app: reviews, version", f"{SIDECAR}, app: reviews, version"))
    page.goto("/security")
    cell = page.get_by_role("button", name=re.compile("^without an identity to reviews"))
    expect(cell).to_have_text("✓")
    console.client.apply(POLICIES.partition("---")[0])
    expect(cell).to_have_text("◐")
    cell.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("status").first).to_contain_text("It may.")
    expect(dialog).to_contain_text("readers")
    dialog.get_by_label("Method").select_option("DELETE")
    expect(dialog.get_by_role("status").first).to_contain_text("It may not.")
    expect(dialog).to_contain_text("no rule of them matches")
    expect(dialog).to_contain_text("clew authz can - default/reviews DELETE /")


def test_what_is_demanded_and_by_which_policy(page: Page, console: Console) -> None:
    page.goto("/security?tab=mtls")
    demanded = page.get_by_role("region", name="What is demanded")
    expect(demanded).to_contain_text("PERMISSIVE")
    console.client.apply(POLICIES)
    expect(demanded.get_by_role("row", name="namespace default")).to_contain_text("STRICT")
    demanded.get_by_role("link", name="PeerAuthentication").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("default")


def test_policies_say_what_they_do_and_what_is_wrong_with_them(
    page: Page, console: Console
) -> None:
    console.client.apply(POLICIES.replace("app: reviews", "app: nobody"))
    page.goto("/security")
    page.get_by_role("link", name="Policies", exact=True).click()
    expect(page).to_have_url("/security?tab=policies")
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="readers")).to_contain_text("ALLOW: from anybody, to methods GET")
    expect(rows.filter(has_text="PeerAuthentication")).to_contain_text("mTLS STRICT")


def test_the_authority_and_its_certificates(page: Page) -> None:
    page.goto("/security?tab=certificates")
    authority = page.get_by_role("region", name="The authority")
    expect(authority).to_contain_text("No change of roots is under way")
    expect(authority.get_by_role("row")).to_have_count(3)
    expect(authority.get_by_role("row", name="root")).to_contain_text(re.compile(r"36\d\dd"))


def test_each_part_fits_a_phone(page: Page, console: Console) -> None:
    console.client.apply(POLICIES)
    page.set_viewport_size(PHONE)
    for tab in ("", "mtls", "certificates", "policies"):
        page.goto(f"/security?tab={tab}")
        page.get_by_role("table").first.wait_for()
        assert page.evaluate(WIDTH) <= 0, tab
