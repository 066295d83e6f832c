from __future__ import annotations

import pytest

from clew.agent.http_client import Response, decode_response, encode_request


def test_a_request_says_where_it_goes_and_that_the_connection_ends() -> None:
    request = encode_request("PUT", "/a", host="h", headers={"X": "1"}, body=b"{}")
    assert request == (
        b"PUT /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\nX: 1\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("received", "response"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nLIVE\n", Response(200, b"LIVE\n")),
        (b"HTTP/1.0 503 No\r\n\r\n", Response(503, b"")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nLIVE\n\r\n1\r\n!\r\n0\r\n\r\n",
            Response(200, b"LIVE\n!"),
        ),
    ],
)
def test_a_response_is_read_to_its_end(received: bytes, response: Response) -> None:
    assert decode_response(received) == response


@pytest.mark.parametrize(
    "received", [b"", b"\0\0", b"220 smtp\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1\r\n\r\n"]
)
def test_other_protocols_are_not_http(received: bytes) -> None:
    with pytest.raises(ValueError, match="not an HTTP response"):
        decode_response(received)
