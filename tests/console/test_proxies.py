"""Proxies: what each is told and has, and a refusal that leads to the object that is to blame."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from clew.api.client import Client
from tests.cli.test_wait import GATEWAY, REFUSED, ROUTES, ingress_gateway
from tests.console.conftest import entered, opened
from tests.server.api_server import server_thread


@pytest.fixture
def socket() -> Iterator[Path]:
    """Of a mesh with one gateway, which refuses whatever has BAD in it."""
    with (
        tempfile.TemporaryDirectory(prefix="clew") as directory,
        server_thread(Path(directory), on_directory=ingress_gateway) as found,
    ):
        yield found


@pytest.fixture
def client(socket: Path) -> Iterator[Client]:
    with Client(socket) as found:
        found.apply(f"{GATEWAY}---\n{ROUTES}", author="ada")
        yield found


@pytest.fixture
def page(browser: Browser, socket: Path, client: Client) -> Iterator[Page]:
    with opened(socket) as url, entered(browser, url) as found:
        yield found


def test_a_refusal_shows_at_once_and_leads_to_its_cause(page: Page, client: Client) -> None:
    expect(page.get_by_text("1 of 1 proxy in sync")).to_be_visible()
    page.get_by_text("live", exact=True).wait_for()
    client.apply(REFUSED, author="mallory")
    trouble = page.get_by_role("region", name="Verdict").get_by_role("link")
    expect(trouble).to_contain_text("VirtualService default/web is held at generation 1")
    trouble.click()
    expect(page.get_by_text("held at generation 1", exact=True)).to_be_visible()
    page.goto("/proxies")
    refused = page.get_by_role("region", name="What proxies refused")
    expect(refused.get_by_role("row").nth(1)).to_contain_text("VirtualService default/web")
    expect(refused).to_contain_text("generation 1")
    client.apply(ROUTES, author="ada")
    expect(refused.get_by_text("over")).to_be_visible()


def test_a_proxy_shows_what_it_is_told_and_has(page: Page) -> None:
    page.goto("/proxies")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="ingress-0").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("ingress-0")
    objects = page.get_by_role("region", name="Objects with a say in it")
    expect(objects.get_by_role("link", name="Gateway default/web")).to_be_visible()
    page.get_by_role("link", name="Routes").click()
    row = page.get_by_role("row", name="http.80")
    expect(row).to_contain_text("has it")
    row.get_by_role("button", name="http.80").click()
    expect(page.get_by_role("dialog")).to_contain_text("web.example.com")
