"""PeerAuthentication changes under constant load: what it forbids never gets through, and what it
allows never fails.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.e2e.attacker import Stolen, authority_of, call_proxy, certificate
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh
from tests.e2e.test_failures import load

pytestmark = needs_root

PRODUCTPAGE = "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"
POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: %s}}
"""
# Whether a mode lets plaintext in, and mutual TLS.
ALLOWS = {"PERMISSIVE": (True, True), "STRICT": (False, True), "DISABLE": (True, False)}
FLIPS = ("PERMISSIVE", "STRICT", "DISABLE", "STRICT", "PERMISSIVE")
HELD_SECONDS = 2.0


@dataclass
class Direct:
    """Calls a workload without a sidecar of its own, over a new connection each time."""

    call: Callable[[], int]
    outcomes: list[tuple[float, float, bool]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Direct:
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(20)

    def _work(self) -> None:
        while not self.stop.wait(0.02):
            began = time.monotonic()
            got_through = self.call() == 200
            self.outcomes.append((began, time.monotonic(), got_through))

    def within(self, begins: float, ends: float) -> list[bool]:
        """What became of the calls that were made entirely between two moments."""
        return [good for began, ended, good in self.outcomes if begins <= began and ended <= ends]


def _apply(mesh: Mesh, mode: str) -> None:
    assert mesh.clew("apply", "-f", "-", text=POLICY % mode).returncode == 0
    waited = mesh.clew("wait", "peerauthentication/default", "-n", "istio-system")
    assert waited.returncode == 0, waited.stdout + waited.stderr


def _hold(*loads: Direct) -> tuple[float, float]:
    """A while in which the policy is in force, and all have made calls."""
    begins = time.monotonic()
    eventually(lambda: time.monotonic() - begins > HELD_SECONDS, what="time to pass")
    eventually(
        lambda: all(len(each.within(begins, time.monotonic())) > 10 for each in loads),
        what="calls to be made",
    )
    return begins, time.monotonic()


@pytest.mark.timeout(400)
@pytest.mark.proves("PeerAuthenticationSpec.mtls")
def test_no_flip_of_a_policy_lets_the_wrong_ones_in_or_the_right_ones_out() -> None:
    with running_mesh("flips", capture="netns") as mesh:
        victim = next(r.ip for r in mesh.state.replicas if r.workload == "reviews-v1")
        stolen: Stolen = certificate(authority_of(mesh.directory), PRODUCTPAGE)
        plain = Direct(lambda: call_proxy(victim, 9080, "/reviews/0", stolen, tls=False))
        mutual = Direct(lambda: call_proxy(victim, 9080, "/reviews/0", stolen))
        with load(mesh) as requests, plain, mutual:
            requests.sample(50)
            held = []
            for mode in FLIPS:
                _apply(mesh, mode)
                held.append((mode, *_hold(plain, mutual)))
            requests.sample(50)
        for mode, begins, ends in held:
            for allowed, direct, what in zip(ALLOWS[mode], (plain, mutual), "pm", strict=True):
                got = direct.within(begins, ends)
                print(mode, what, "allowed" if allowed else "forbidden", len(got), sum(got))
                assert set(got) == {allowed}, (mode, what, got.count(not allowed), len(got))
        # Where both modes of a flip allow something, it does not fail in between either.
        for (one, _, begins), (other, ends, _) in itertools.pairwise(held):
            both = [a and b for a, b in zip(ALLOWS[one], ALLOWS[other], strict=True)]
            for allowed, direct in zip(both, (plain, mutual), strict=True):
                assert not allowed or all(direct.within(begins, ends)), (one, other)
        failures = [(each.began, each.failure) for each in requests.outcomes if each.failure]
        print(*held, *failures, sep="\n")
        print(len(requests.outcomes), "requests in the mesh", len(failures), "failures")
        assert failures == []
