"""How soon a screen is there, how much is sent for it, and how little it asks of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest
from playwright.sync_api import Browser, Page, Response

from tests.console.conftest import entered
from tests.console.full_mesh import RULE, full_mesh
from tests.console.test_screens import MAIN, SCREENS, Screen

MILLISECONDS, BYTES = 1_000, 300_000
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# All that came, with its headers, as it came.
SENT = """() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
  .reduce((sum, each) => sum + each.transferSize, 0)"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """It keeps nothing from one load to the next."""
    with full_mesh() as (url, _), entered(browser, url) as found:
        session = found.context.new_cdp_session(found)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        yield found


@pytest.mark.parametrize(
    "screen", [each for each in SCREENS if each.path in MAIN], ids=lambda screen: screen.path
)
def test_a_first_load_is_small_and_soon_there(page: Page, screen: Screen) -> None:
    assert load(page, screen) < MILLISECONDS
    assert 40_000 < page.evaluate(SENT) < BYTES


def load(page: Page, screen: Screen) -> float:
    """When something is painted, in milliseconds after the click, on a machine with time for it."""
    times: list[float] = []
    while len(times) < 3 or (median(times) > MILLISECONDS and len(times) < 9):
        page.goto(screen.path)
        page.locator(screen.shows).first.wait_for()
        times.append(page.wait_for_function(PAINTED).json_value())
    return median(times)


def test_what_is_served_is_compressed(page: Page) -> None:
    coded: dict[str, str] = {}

    def note(response: Response) -> None:
        if response.request.resource_type in ("document", "script", "stylesheet"):
            coded[response.url] = response.headers.get("content-encoding", "")

    page.on("response", note)
    page.goto(RULE)
    page.locator(".cm-content").wait_for()
    page.remove_listener("response", note)
    assert len(coded) >= 4
    assert set(coded.values()) == {"br"}
