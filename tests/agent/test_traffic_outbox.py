"""What becomes of reports when calls break and the control plane starts again: each counts once."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from clew.agent.traffic_outbox import Outbox
from clew.api.traffic_report import OLDEST_SECONDS, Counted, TrafficReport
from clew.model.names import spiffe_id
from clew.model.spiffe import Identity
from clew.server.mtls import Peer
from clew.server.traffic_counts import REQUESTS
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_window import FINE_SECONDS, TrafficWindow
from tests.server.test_traffic_reports import BEGAN, SERVED, proxy

REVIEWS = Peer(Identity.parse(spiffe_id("cluster.local", "default", "x")), "reviews-v1-0.default")
SECONDS = 0.3
STEPS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from(["arrives", "breaks", "is lost", "half of it", "late", "restart"]),
    ),
    max_size=int(OLDEST_SECONDS / SECONDS) - 2,
)


class World:
    """An agent and a control plane, and how many requests it is to know of."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.outbox = Outbox()
        # What arrives over an old connection when the next one is there already.
        self.late: list[tuple[TrafficReports, bytes]] = []
        self.start()

    def start(self) -> None:
        began = self.now
        self.expected = 0
        self.reports = TrafficReports(TrafficWindow(began=began), lambda: self.now)
        self.reports.come(proxy("reviews-v1-0", "reviews-v1"))

    def step(self, requests: int, fate: str) -> None:
        self.now += SECONDS
        if fate == "restart":
            self.start()
            self.outbox.begin_call()
        self.expected += requests
        counted = (Counted(tag=SERVED, requests={200: requests}),)
        self.outbox.put(TrafficReport(seconds=SECONDS, counted=counted), self.now)
        late, self.late = self.late, []
        self.tell(self.outbox.untold(self.now), fate)
        if fate not in ("arrives", "restart"):
            self.outbox.begin_call()
        for reports, body in late:
            reports.take_from(REVIEWS, body, self.now)

    def tell(self, bodies: Iterator[bytes], fate: str) -> None:
        for body in bodies:
            if fate == "late":
                self.late.append((self.reports, body))
            elif fate != "is lost":
                self.reports.take_from(REVIEWS, body, self.now)
            if fate == "half of it":
                return

    @property
    def known(self) -> int:
        sums = self.reports.window.sums(int(self.reports.window.began // FINE_SECONDS))
        return sum(counts.get(REQUESTS, 0) for _, counts in sums)


@given(STEPS)
def test_whatever_is_lost_on_the_way_each_request_counts_once(
    steps: list[tuple[int, str]],
) -> None:
    world = World()
    for requests, fate in steps:
        world.step(requests, fate)
    world.step(1, "arrives")
    assert world.known == world.expected


def test_what_could_not_be_told_for_long_is_told_no_more() -> None:
    outbox = Outbox()
    for second in range(30):
        outbox.put(TrafficReport(seconds=1.0), float(second))
    assert len(list(outbox.untold(30.0))) == OLDEST_SECONDS + 1
