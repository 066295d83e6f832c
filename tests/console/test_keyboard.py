"""Everything can be reached by keyboard, and whoever is there sees where."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.console.conftest import DESK, PHONE, entered
from tests.console.full_mesh import full_mesh
from tests.console.test_screens import MAIN, OWN, SCREENS, Screen, show

# Numbers all that can be used and is seen; returns how many there are.
NUMBER = """() => {
  const all = document.querySelectorAll(
    "a[href], button:not(:disabled), input:not(:disabled), select, summary, [tabindex='0']");
  const seen = [...all].filter((each) => each.checkVisibility());
  seen.forEach((each, index) => { each.dataset.stop = index; });
  return seen.length;
}"""
# Where the keyboard is: the number, "" for what has none; what is wrong with how that looks; its
# classes. Null for the page itself.
HERE = """() => {
  let at = document.activeElement, host = at;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at), frame = getComputedStyle(host.closest(".editor") ?? host);
  const marked = style.outlineStyle !== "none" || frame.boxShadow !== "none";
  const { left, top, width, height } = at.getBoundingClientRect();
  const right = Math.min(left + width, innerWidth), foot = Math.min(top + height, innerHeight);
  const over = document.elementFromPoint((left + right) / 2, (top + foot) / 2);
  const covered = over && !host.contains(over) && !over.contains(host);
  const wrong = !marked ? "is not marked" : !over ? "is not in sight"
    : covered ? `is covered by ${over.className}` : "";
  const said = wrong && `${host.outerHTML.slice(0, 90)} ${wrong}`;
  return [host.dataset.stop ?? "", said, at.className];
}"""
MOST = 200
NARROW = {"/", "/services", OWN}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with full_mesh() as (url, _), entered(browser, url) as found:
        yield found


@pytest.mark.parametrize("screen", [s for s in SCREENS if s.path in MAIN], ids=lambda s: s.path)
def test_each_control_is_reached_and_seen(page: Page, screen: Screen) -> None:
    show(page, screen)
    # The phone has bars at its head and foot, and shows less.
    page.set_viewport_size(PHONE if screen.path in NARROW else DESK)
    wanted = set(map(str, range(page.evaluate(NUMBER))))
    wrong: list[str] = []
    for _ in range(MOST):
        page.keyboard.press("Tab")
        here = page.evaluate(HERE)
        if here is None:
            break
        wanted.discard(here[0])
        wrong += filter(None, [here[1]])
        if "cm-content" in here[2]:
            page.keyboard.press("Escape")  # and the next Tab leaves the editor
    assert wrong == []
    assert wanted == set()
