"""The server's end of a connection, held against the h2 library as the client."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamReset, TrailersReceived
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.server.http2 import frames
from clew.server.http2.call import Call, Caller, Method
from clew.server.http2.connection import (
    MOST_CALLS,
    MOST_HEADER_BYTES,
    MOST_RESETS,
    MOST_UNREAD_REPLIES,
    Connection,
    ProtocolError,
)

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Box/Put"),
    (":authority", "here"),
    ("te", "trailers"),
    ("content-type", "application/grpc+proto"),
]
CALLER = Caller()


class Box:
    """Keeps what it hears, and answers nothing by itself."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.heard: list[bytes] = []
        self.events: list[str] = []

    def message(self, body: bytes) -> None:
        self.heard.append(body)

    def ended(self) -> None:
        self.events.append("ended")

    def drained(self) -> None:
        self.events.append("drained")

    def closed(self) -> None:
        self.events.append("closed")


class Wire:
    """A transport to nowhere."""

    def __init__(self) -> None:
        self.paused = False
        self.sent = bytearray()

    def write(self, data: bytes) -> None:
        self.sent += data


class Ends:
    """Both ends of one connection."""

    def __init__(self, **settings: int) -> None:
        self.boxes: list[Box] = []
        self.wire = Wire()
        self.server = Connection(self.wire, {"/test.Box/Put": Method(self._answer, 1000)}, CALLER)
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.client.initiate_connection()
        self.client.update_settings({SettingCodes[key]: settings[key] for key in settings})
        self.exchange()

    def _answer(self, call: Call) -> Box:
        box = Box(call)
        self.boxes.append(box)
        return box

    def call(self, headers: Sequence[tuple[str, str]] = HEADERS) -> int:
        stream = int(self.client.get_next_available_stream_id())
        self.client.send_headers(stream, headers)
        return stream

    def exchange(self) -> list[Event]:
        """Pass everything on in both directions until there is nothing more."""
        events: list[Event] = []
        while True:
            if data := self.client.data_to_send():
                self.server.receive(data)
            if not self.wire.sent:
                return events
            sent, self.wire.sent = bytes(self.wire.sent), bytearray()
            events += self.client.receive_data(sent)


def data_in(events: Sequence[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=1000), max_size=5), st.lists(st.integers(1, 400), max_size=20))
def test_however_bytes_are_cut_the_messages_are_the_same(
    bodies: list[bytes], cuts: list[int]
) -> None:
    ends = Ends()
    stream = ends.call()
    for body in bodies:
        ends.client.send_data(stream, frames.message(body))
    ends.client.end_stream(stream)
    sent = ends.client.data_to_send()
    places = [0, *(cut for cut in accumulate(cuts) if cut < len(sent)), len(sent)]
    for start, end in pairwise(places):
        ends.server.receive(sent[start:end])
    assert ends.boxes[0].heard == bodies
    assert ends.boxes[0].events == ["ended"]


@settings(deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_nonsense_ends_the_connection_and_raises_nothing_else(data: bytes, after: bool) -> None:
    ends = Ends()
    try:
        if after:
            ends.call()
            ends.exchange()
        ends.server.receive(data)
    except ProtocolError:
        ends.server.closed()


FRAMES = st.builds(
    frames.frame,
    st.integers(0, 12),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0xFF]),
    st.integers(0, 7),
    st.binary(max_size=40),
)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=30))
def test_frames_that_make_no_sense_end_the_connection_and_raise_nothing_else(
    mess: list[bytes],
) -> None:
    ends = Ends()
    ends.call()
    ends.exchange()
    try:
        for piece in mess:
            ends.server.receive(piece)
    except ProtocolError:
        ends.server.closed()
        assert ends.boxes[0].events.count("closed") == 1


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(10, 700))
def test_a_slow_reader_gets_every_byte_and_the_handler_hears_when(size: int, window: int) -> None:
    ends = Ends(INITIAL_WINDOW_SIZE=window)
    stream = ends.call()
    ends.exchange()
    (box,) = ends.boxes
    whole = frames.message(bytes(size))
    box.call.send(bytes(size))
    received = data_in(ends.exchange())
    fits = len(whole) <= window
    while len(received) < len(whole):
        assert not box.call.idle
        ends.client.increment_flow_control_window(window, stream)
        received += data_in(ends.exchange())
    assert received == whole
    assert box.call.idle
    assert box.events == ([] if fits else ["drained"])


def test_a_call_is_over_once_all_is_sent() -> None:
    ends = Ends(INITIAL_WINDOW_SIZE=8)
    stream = ends.call()
    ends.exchange()
    box = ends.boxes[0]
    box.call.send(b"12345678")
    box.call.finish(5, "not here")
    assert not any(isinstance(event, TrailersReceived) for event in ends.exchange())
    ends.client.increment_flow_control_window(100, stream)
    (trailers,) = (event for event in ends.exchange() if isinstance(event, TrailersReceived))
    said = {str(name): str(value) for name, value in trailers.headers or ()}
    assert said == {"grpc-status": "5", "grpc-message": "not here"}
    assert box.events == ["closed"]


def test_a_transport_that_is_full_waits() -> None:
    ends = Ends()
    ends.call()
    ends.exchange()
    box = ends.boxes[0]
    ends.wire.paused = True
    box.call.send(b"later")
    assert not box.call.idle
    assert data_in(ends.exchange()) == b""
    ends.wire.paused = False
    ends.server.drained()
    assert data_in(ends.exchange()) == frames.message(b"later")
    assert box.events == ["drained"]


def test_a_caller_that_gives_up_closes_its_call() -> None:
    ends = Ends()
    stream = ends.call()
    ends.exchange()
    ends.client.reset_stream(stream)
    ends.exchange()
    assert ends.boxes[0].events == ["closed"]
    ends.boxes[0].call.send(b"nobody listens")
    assert ends.exchange() == []


def test_more_calls_than_are_allowed_are_refused_one_by_one() -> None:
    ends = Ends()
    ends.client.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    ends.client.remote_settings.acknowledge()
    for _ in range(MOST_CALLS + 2):
        ends.call()
    refused = [event for event in ends.exchange() if isinstance(event, StreamReset)]
    assert [event.error_code for event in refused] == [frames.REFUSED_STREAM] * 2
    assert len(ends.boxes) == MOST_CALLS


def test_who_does_not_speak_grpc_is_told_so() -> None:
    ends = Ends()
    ends.call([*HEADERS[:-1], ("content-type", "text/html")])
    assert b"415" in repr(ends.exchange()).encode()
    assert ends.boxes == []


def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    ends = Ends()
    assert [ends.server.tick() for _ in range(2)] == [True, True]
    ends.client.ping(b"whatever")
    ends.exchange()
    assert [ends.server.tick() for _ in range(3)] == [True, True, True]
    assert frames.frame(frames.PING, 0, 0, b"clewping") in bytes(ends.wire.sent)
    assert not ends.server.tick()


def test_a_peer_that_answers_is_kept() -> None:
    ends = Ends()
    for _ in range(20):
        assert ends.server.tick()
        ends.exchange()


def flood_of_continuations() -> list[bytes]:
    piece = frames.literal(b"a", b"b" * 100)
    return [
        frames.frame(frames.HEADERS, 0, 1, piece),
        *[frames.frame(frames.CONTINUATION, 0, 1, piece)] * (MOST_HEADER_BYTES // 100),
    ]


FLOODS = {
    "headers without end": flood_of_continuations(),
    "empty continuations": [
        frames.frame(frames.HEADERS, 0, 1),
        frames.frame(frames.CONTINUATION, 0, 1),
    ],
    "calls given up at once": [frames.reset(1, frames.CANCEL)] * (MOST_RESETS + 1),
    "a frame too long": [frames.frame(frames.DATA, 0, 1, bytes(frames.DEFAULT_FRAME + 1))],
    "data of no call": [frames.frame(frames.DATA, 0, 1, b"x")],
    "a push": [frames.frame(frames.PUSH_PROMISE, 0, 1)],
    "a window without end": [frames.window_update(0, 2**31 - 1)] * 2,
    "an even stream": [frames.frame(frames.HEADERS, frames.END_HEADERS, 2)],
    "headers that cannot be decoded": [
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff")
    ],
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_ends_its_connection(flood: list[bytes]) -> None:
    ends = Ends()
    with pytest.raises(ProtocolError):
        ends.server.receive(b"".join(flood))


def test_answers_that_are_not_read_end_the_connection() -> None:
    ends = Ends()
    ends.wire.paused = True
    ping = frames.frame(frames.PING, 0, 0, bytes(8))
    with pytest.raises(ProtocolError, match="not read"):
        ends.server.receive(ping * (MOST_UNREAD_REPLIES + 1))


def test_more_than_the_window_allows_ends_the_connection() -> None:
    ends = Ends()
    ends.call()
    ends.exchange()
    piece = frames.frame(frames.DATA, 0, 1, bytes(frames.DEFAULT_FRAME))
    ends.boxes[0].call.credit = 100
    with pytest.raises(ProtocolError, match="window"):
        ends.server.receive(piece)
