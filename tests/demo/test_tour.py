"""The tour against a small server that answers as reviews would."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from clew.demo.load import Load
from clew.demo.steps import Step, Traffic
from clew.demo.tour import take_steps, version_of_reviews

BODY = {
    "v1": {"reviews": [{"text": "good"}]},
    "v2": {"reviews": [{"rating": {"stars": 5, "color": "black"}}]},
    "v3": {"reviews": [{"rating": {"stars": 5, "color": "red"}}]},
}


class Reviews(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    version, status = "v1", 200

    def do_GET(self) -> None:
        body = json.dumps(BODY[type(self).version]).encode()
        self.send_response(type(self).status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def reviews(version: str = "v1", status: int = 200) -> Iterator[tuple[str, int]]:
    Reviews.version, Reviews.status = version, status
    with ThreadingHTTPServer(("127.0.0.1", 0), Reviews) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def test_the_version_is_read_from_the_stars() -> None:
    assert [version_of_reviews(json.dumps(BODY[v]).encode()) for v in BODY] == ["v1", "v2", "v3"]


def test_a_sample_holds_only_requests_that_began_after_it_was_asked_for() -> None:
    with reviews("v1") as address, Load(address, "/", version_of_reviews, workers=2) as load:
        assert {o.version for o in load.sample(20)} == {"v1"}
        Reviews.version = "v2"
        assert {o.version for o in load.sample(20)} == {"v2"}


def test_every_answer_but_200_is_a_failure_with_its_text() -> None:
    with reviews(status=503) as address, Load(address, "/", version_of_reviews) as load:
        assert all(o.failure.startswith("status 503") for o in load.sample(5))


def test_a_step_holds_when_its_shares_arrive_and_fails_when_others_do() -> None:
    steps = (
        Step(title="to v3", manifest="v3", wanted={Traffic.EVERYONE: {"v3": 100}}),
        Step(title="stuck", manifest="v3", wanted={Traffic.EVERYONE: {"v1": 100}}),
        Step(title="tcp", manifest="v3", wanted={Traffic.TCP: {"one": 80, "two": 20}}),
    )
    with reviews() as address:
        results = take_steps(
            steps,
            apply=lambda manifest: setattr(Reviews, "version", manifest),
            address=address,
            count_tcp=lambda n: Counter({"one": n * 8 // 10, "two": n * 2 // 10}),
            announce=lambda step: None,
        )
        assert [result.holds for result in results] == [True, False, True]
