"""mTLS is demanded and not demanded in turn, under load: nobody fails who has a sidecar."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.corpora.echo.manifests import App
from tests.corpora.echo.traffic import outcome, succeeded
from tests.corpora.echo.world import World, running_world
from tests.e2e.mesh import eventually, needs_root

pytestmark = needs_root

PORTS = (
    {"name": "http", "service_port": 80, "workload_port": 18080},
    {"name": "tcp", "service_port": 90, "workload_port": 19090},
)
APPS = (
    App(name="http", namespace="shop"),
    App(name="tcp", namespace="shop"),
    App(name="plain", namespace="shop", proxy=False),
    App(name="web", namespace="shop"),
)
# What each of them asks for, again and again.
ASKED = {"http": ("http", 80), "tcp": ("tcp", 90), "plain": ("http", 80)}
FLIPS = 6
# Acknowledged is a moment before Envoy's workers have it.
SETTLED_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    began: float
    ended: float
    problem: str


@dataclass
class Load:
    world: World
    answers: Mapping[str, list[Answer]] = field(default_factory=lambda: {app: [] for app in ASKED})

    @contextmanager
    def running(self) -> Iterator[None]:
        ending = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(app, ending)) for app in ASKED]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ending.set()
            for thread in threads:
                thread.join()

    def go_on(self) -> None:
        """Wait until each of them has been answered some times more."""
        wanted = {app: len(answers) + 20 for app, answers in self.answers.items()}
        eventually(
            lambda: all(len(self.answers[app]) >= count for app, count in wanted.items()),
            what="more answers",
        )

    def _ask(self, app: str, ending: threading.Event) -> None:
        scheme, port = ASKED[app]
        call = {"scheme": scheme, "address": "web.shop.svc.cluster.local", "port": port}
        while not ending.is_set():
            began = time.monotonic()
            for result in self.world.calls(app, [{**call, "message": "hello", "timeout": 5.0}] * 4):
                problem = "" if succeeded(result) else outcome(result)
                self.answers[app].append(Answer(began, time.monotonic(), problem))


def demand(mode: str) -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: web}}}}, mtls: {{mode: {mode}}}}}
"""


def test_mtls_is_demanded_in_turn_and_no_sidecar_fails() -> None:
    strict = []
    with running_world(APPS, PORTS) as world:
        load = Load(world)
        with load.running():
            for flip in range(FLIPS):
                mode = "PERMISSIVE" if flip % 2 else "STRICT"
                world.client.apply(demand(mode))
                world.settle()
                begins = time.monotonic() + SETTLED_SECONDS
                load.go_on()
                if mode == "STRICT":
                    strict.append((begins, time.monotonic()))
        assert world.refusals == []
    for app in ("http", "tcp"):
        assert [each.problem for each in load.answers[app] if each.problem] == []
    through = [
        each
        for each in load.answers["plain"]
        for begins, ends in strict
        if begins < each.began and each.ended < ends and not each.problem
    ]
    assert through == [], "plaintext came through"
    assert any(not each.problem for each in load.answers["plain"])
