"""Takes the pictures in docs/images of Bookinfo under load: ``make pictures``, as root.

It takes a few minutes, because the charts show a quarter of an hour in steps of 15 seconds.
"""

from __future__ import annotations

import base64
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from clew.api.client import Client
from clew.api.location import API_SOCKET
from clew.demo.steps import canary
from tests.console.conftest import CHROMIUM, DESK, dashboard
from tests.e2e.mesh import Mesh, running_mesh

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SERVICE = "/services/default/reviews.default.svc.cluster.local"
RULE = "/configuration/networking.istio.io/VirtualService/default/reviews"
PHONE: ViewportSize = {"width": 390, "height": 844}
QUALITY = 84
# Between two changes, so that charts tell them apart.
PAUSE = 60.0
PER_SECOND = 10

ROUTED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: testers
    match:
    - headers: {end-user: {exact: jason}}
    timeout: 2s
    route:
    - destination: {host: reviews, subset: v3}
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 80}
    - {destination: {host: reviews, subset: v2}, weight: 20}
"""
FAILING = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
  - fault: {abort: {percentage: {value: 12}, httpStatus: 503}}
    route:
    - destination: {host: ratings}
"""
GUARDED = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ratings}
spec:
  selector: {matchLabels: {app: ratings}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/bookinfo-reviews]}}]
    to: [{operation: {methods: [GET]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: details}
spec:
  selector: {matchLabels: {app: details}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/bookinfo-productpage]}}]
"""


def main() -> None:
    with (
        running_mesh("bookinfo", capture="netns") as mesh,
        load(mesh),
        Client(mesh.directory / API_SOCKET) as client,
        dashboard(mesh.directory.parent, mesh.name) as url,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM) as browser,
    ):
        page = opened(browser, url)
        for author, text in (
            ("ada", canary(95, 5).manifest),
            ("grace", GUARDED),
            ("ada", canary(80, 20).manifest),
            ("bob", ROUTED),
            ("bob", FAILING),
        ):
            client.apply(text, author=author)
            time.sleep(PAUSE)
        take_all(page)


@contextmanager
def load(mesh: Mesh) -> Iterator[None]:
    """Requests at an even pace, each eighth of them a tester's."""
    stop = threading.Event()

    def ask() -> None:
        number, begin = 0, time.monotonic()
        while not stop.wait(max(0.0, begin + number / PER_SECOND - time.monotonic())):
            number += 1
            headers = {"end-user": "jason"} if number % 8 == 0 else {}
            url = f"http://127.0.0.1:{mesh.state.http_port}/productpage"
            try:
                urllib.request.urlopen(urllib.request.Request(url, headers=headers)).close()
            except urllib.error.URLError:
                continue  # it shows in the pictures

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def opened(browser: Browser, url: str) -> Page:
    context = browser.new_context(
        viewport=DESK, base_url=url.partition("/enter")[0], color_scheme="light"
    )
    page = context.new_page()
    page.goto(url)
    return page


def take_all(page: Page) -> None:
    page.goto("/")
    take(page, "overview", ".plot .mark")
    page.goto("/graph")
    take(page, "graph", ".plane")
    page.goto(SERVICE)
    take(page, "service", ".rule")
    page.goto(f"{SERVICE}/shift")
    page.get_by_role("slider", name="Share of v2").fill("50")
    page.get_by_text("The mesh accepts this.").wait_for()
    take(page, "shift", ".diff .add")
    page.goto(RULE)
    page.locator(".cm-content").wait_for()
    misspell(page)
    take(page, "editor", ".cm-lintRange-error")
    page.goto("/traces?status=error")
    page.locator("tbody a").first.click()
    take(page, "trace", ".spanfacts")
    page.goto("/proxies")
    take(page, "proxies", "tbody tr")
    page.goto("/security")
    take(page, "security", ".matrix")
    page.goto("/")
    page.set_viewport_size(PHONE)
    take(page, "phone", ".plot .mark")


def misspell(page: Page) -> None:
    lines = page.locator(".cm-line").all_text_contents()
    page.get_by_role("textbox", name="YAML of the object").click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text("\n".join(lines).replace("timeout: 2s", "timeot: 2s"))
    page.keyboard.press("Control+Home")


def take(page: Page, name: str, shows: str) -> None:
    page.locator(shows).first.wait_for()
    page.locator(".live:not(.off)").wait_for()
    page.mouse.move(0, 0)
    time.sleep(6.0)  # two reports of the sidecars, and the fonts
    options = {"format": "webp", "quality": QUALITY}
    found = page.context.new_cdp_session(page).send("Page.captureScreenshot", options)
    (IMAGES / f"console-{name}.webp").write_bytes(base64.b64decode(found["data"]))


if __name__ == "__main__":
    main()
