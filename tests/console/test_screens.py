"""What holds for every screen: its address, its twins, what it asks, and whether all can use it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from clew.cli.main import main
from clew.server.traffic_window import TrafficWindow
from tests.console.conftest import DESK, PHONE, entered
from tests.console.full_mesh import HOST, NODE, RULE, TRACE, full_mesh, requests_come
from tests.console.test_graph import SERVICE


@dataclass(frozen=True, slots=True)
class Screen:
    """``shows``: a selector of what is there once it is complete."""

    path: str
    title: str
    shows: str


OWN = f"/services/default/{HOST}"
SCREENS = (
    Screen("/", r"problem", ".plot"),
    Screen("/graph", "Graph", ".plane"),
    Screen(f"/graph?picked={SERVICE}", "Graph", ".graphpanel .plot"),
    Screen("/graph?view=table", "Graph", "tbody tr"),
    Screen("/services", "Services", "tbody tr"),
    Screen(OWN, "reviews", ".rule"),
    Screen(f"{OWN}/shift", "Shift traffic", ".slider"),
    Screen(f"{OWN}/route", "Route requests", "[role=group]"),
    Screen(f"{OWN}/fault", "Inject faults", "fieldset"),
    Screen(f"{OWN}/resilience", "Timeouts and retries", ".field"),
    Screen("/configuration", "Configuration", "tbody tr"),
    Screen("/configuration/new", "New object", ".cm-content"),
    Screen(RULE, "reviews", ".cm-lintRange-warning"),
    Screen(f"{RULE}?tab=status", "reviews", ".findings"),
    Screen(f"{RULE}?tab=references", "reviews", "tbody tr"),
    Screen(f"{RULE}?tab=history", "reviews", ".diff .add"),
    Screen("/traces", "Traces", "tbody tr"),
    Screen(f"/traces/{TRACE}", "web:9080", ".spanfacts"),
    Screen("/proxies", "Proxies", "tbody tr"),
    Screen(f"/proxies/{NODE}", "ingress-0", "tbody tr"),
    Screen("/security", "Security", ".matrix"),
    Screen("/security?tab=mtls", "Security", "tbody tr"),
    Screen("/security?tab=certificates", "Security", "tbody tr"),
    Screen("/security?tab=policies", "Security", "tbody tr"),
    Screen("/nowhere", "nothing at this address", ".empty"),
)
# Those that stand for their kind where each costs time.
MAIN = {"/", "/graph", "/services", OWN, RULE, "/configuration", "/traces", "/proxies", "/security"}
# What axe finds, as one line for each element; only some rules where they are named.
AXE = """async (rules) => {
  const options = { resultTypes: ["violations"], preload: false };
  if (rules.length) options.runOnly = rules;
  const { violations } = await axe.run(document, options);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
    `${id}: ${target.join(" ")}: ${failureSummary.split("\\n").at(-1).trim()}`));
}"""
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Who is asked to move, moves at once.
STILL = "() => document.getAnimations().forEach((each) => each.finish())"


@pytest.fixture(scope="module")
def mesh(browser: Browser) -> Iterator[tuple[Page, TrafficWindow]]:
    """One page for all, which fails them if it logs an error or asks somebody else."""
    with full_mesh() as (url, window), entered(browser, url) as found:
        hosts: set[str] = set()
        found.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        found.emulate_media(reduced_motion="reduce")
        yield found, window
        assert hosts == {url.split("/")[2]}


@pytest.fixture
def page(mesh: tuple[Page, TrafficWindow]) -> Page:
    found, window = mesh
    requests_come(window)
    return found


def show(page: Page, screen: Screen) -> None:
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    page.goto(screen.path)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(screen.title))
    page.locator(screen.shows).first.wait_for()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.path)
def test_everybody_can_use_it_in_any_light_and_size(page: Page, screen: Screen) -> None:
    show(page, screen)
    page.evaluate(AXE_SCRIPT)
    found = check(page, "desk, light")
    page.emulate_media(color_scheme="dark")
    found += check(page, "desk, dark", "color-contrast") if screen.path in MAIN else []
    page.set_viewport_size(PHONE)
    found += check(page, "phone, dark")
    assert page.evaluate(WIDER) <= 0
    page.emulate_media(color_scheme="light")
    found += check(page, "phone, light", "color-contrast") if screen.path in MAIN else []
    assert found == []
    if screen.path != "/nowhere":
        check_twins(page)


def test_everybody_can_use_what_opens_above_it(page: Page) -> None:
    found: list[str] = []
    by_path = {each.path: each for each in SCREENS}
    ways: tuple[tuple[str, Callable[[], object]], ...] = (
        ("/", lambda: page.keyboard.press("Control+k")),
        ("/services", lambda: page.keyboard.press("?")),
        ("/security", lambda: page.locator("button.cell").first.click()),
        (f"/proxies/{NODE}", lambda: page.locator("td button").first.click()),
        (f"{RULE}?tab=history", lambda: page.get_by_role("button", name="Delete").click()),
    )
    for path, opens in ways:
        show(page, by_path[path])
        opens()
        page.get_by_role("dialog").wait_for()
        page.evaluate(AXE_SCRIPT)
        found += check(page, path)
    assert found == []


def check(page: Page, how: str, *rules: str) -> list[str]:
    page.evaluate(STILL)
    return [f"{how}: {each}" for each in page.evaluate(AXE, list(rules))]


def check_twins(page: Page) -> None:
    """Fail unless the view is in the API and in the command line, too."""
    twins = page.locator("footer.foot")
    address = twins.get_by_role("link").get_attribute("href")
    assert address is not None
    answer = page.request.get(address)
    assert answer.ok, answer.text()
    assert answer.headers["content-type"].startswith("application/json")
    parse(twins.locator("span:last-child code").inner_text())


def parse(line: str) -> None:
    """Fail if there is no such command, or if it prints no JSON."""
    name, command, *arguments = shlex.split(line)
    assert name == "clew"
    context = click.Context(main, info_name=name, **main.context_settings)
    found = main.get_command(context, command)
    while isinstance(found, click.Group):
        command, *arguments = arguments
        found = found.commands[command]
    assert found is not None, line
    options: dict[str, Any] = {}
    # A command keeps the help option that it first makes, with the names that its parent gives it.
    inner = click.Context(found, parent=context)
    options, _, _ = found.make_parser(inner).parse_args(arguments)
    assert options["output"] == "json", line
