"""Spans go in by OpenTelemetry's protocol, and come out as clew and as Jaeger tell them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from google.protobuf.json_format import MessageToDict

from clew._pb.opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from clew.api.async_client import AsyncClient
from clew.model.trace import Span, in_order
from clew.server.jaeger import jaeger_trace
from clew.server.otlp import METHOD, otlp_methods
from clew.server.trace_admission import Admission
from tests.server.api_server import with_server
from tests.server.serving import serving
from tests.spans import TRACE, bookinfo_trace, export, span

GOLDEN = Path(__file__).parent / "jaeger.json"
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json; charset=utf-8"}


def with_http(scenario: Callable[[httpx2.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
    async def run(_client: AsyncClient, socket: Path) -> Any:
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://clew") as http:
            return await scenario(http)

    return asyncio.run(with_server(run))


async def known(http: httpx2.AsyncClient, trace: str = TRACE) -> Any:
    """The trace, once it has been written."""
    async with asyncio.timeout(10):
        answer = await http.get(f"/v1/traces/{trace}")
        while answer.status_code == 404:
            answer = await http.get(f"/v1/traces/{trace}")
    return answer.json()


def as_json(request: ExportTraceServiceRequest) -> Any:
    """OTLP's JSON: ids in hexadecimal."""
    document = MessageToDict(request, use_integers_for_enums=True)
    of_request = request.resource_spans[0].scope_spans[0].spans
    for mine, theirs in zip(
        document["resourceSpans"][0]["scopeSpans"][0]["spans"], of_request, strict=True
    ):
        mine |= {"traceId": theirs.trace_id.hex(), "spanId": theirs.span_id.hex()}
    return document


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["protobuf", "json"])
def test_spans_come_by_http(kind: str, packed: bool) -> None:
    body = export(1, 2).SerializeToString()
    if kind == "json":
        body = json.dumps(as_json(export(1, 2))).encode()
    headers = PROTOBUF if kind == "protobuf" else JSON

    async def scenario(http: httpx2.AsyncClient) -> None:
        content = gzip.compress(body) if packed else body
        encoding = {"content-encoding": "gzip"} if packed else {}
        answer = await http.post("/v1/traces", content=content, headers={**headers, **encoding})
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            headers["content-type"].partition(";")[0],
        )
        trace = await known(http)
        assert trace["summary"]["services"] == ["web"]
        assert [each["id"] for each in trace["spans"]] == [f"{n:016x}" for n in (1, 2)]
        assert trace["spans"][0]["duration"] == 5.0
        assert trace["spans"][0]["kind"] == "server"

    with_http(scenario)


@pytest.mark.parametrize(
    ("headers", "body", "status", "why"),
    [
        (PROTOBUF, b"\xff\xff", 400, "no ExportTraceServiceRequest"),
        (JSON, b'{"resourceSpans": 7}', 400, "JSON"),
        (JSON, b"[", 400, "JSON"),
        (PROTOBUF, export(1, trace="00" * 16).SerializeToString(), 400, "traceId of 16 bytes"),
        ({"content-type": "text/plain"}, b"", 415, "application/x-protobuf"),
        (PROTOBUF | {"content-encoding": "gzip"}, b"x", 400, "not gzip"),
        (PROTOBUF | {"content-encoding": "br"}, b"x", 400, "not as br"),
        (
            PROTOBUF | {"content-encoding": "gzip"},
            gzip.compress(bytes(5 * 1024 * 1024)),
            413,
            "4 MB",
        ),
    ],
)
def test_what_is_no_otlp_is_refused(
    headers: dict[str, str], body: bytes, status: int, why: str
) -> None:
    async def scenario(http: httpx2.AsyncClient) -> None:
        answer = await http.post("/v1/traces", content=body, headers=headers)
        assert answer.status_code == status
        assert why in answer.json()["error"]["message"]

    with_http(scenario)


def test_spans_come_by_grpc_and_what_there_is_no_room_for_is_said(tmp_path: Path) -> None:
    taken: list[Span] = []

    def offer(spans: list[Span]) -> int:
        taken.extend(spans[:1])
        return len(spans[1:])

    async def scenario() -> None:
        address = f"unix:{tmp_path}/xds.sock"
        async with (
            serving(address, otlp_methods(offer, Admission(lambda: 0.0)), None),
            grpc.aio.insecure_channel(address) as channel,
        ):
            call = channel.unary_unary(METHOD)
            answer = await call(export(1, 2).SerializeToString(), timeout=10)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"\xff\xff", timeout=10)
        response = ExportTraceServiceResponse.FromString(answer)
        assert response.partial_success.rejected_spans == 1
        assert [each.span_id for each in taken] == [f"{1:016x}"]
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    asyncio.run(scenario())


def test_traces_are_listed_by_what_is_asked_for() -> None:
    async def scenario(http: httpx2.AsyncClient) -> None:
        body = export(1).SerializeToString()
        assert (await http.post("/v1/traces", content=body, headers=PROTOBUF)).is_success
        await known(http)
        for query, count in {
            "": 1,
            "service=web&status=200&minDuration=5ms&limit=5": 1,
            "minDuration=5.1ms": 0,
            "status=error": 0,
            "since=2025-11-28T12:00:00Z&until=2025-11-28T12:00:01%2B00:00": 1,
            "since=2025-11-28T12:00:01": 0,
        }.items():
            found = (await http.get(f"/v1/traces?{query}")).json()["items"]
            assert len(found) == count, query
        for query, why in {
            "status=bad": "status is a number",
            "minDuration=soon": "minDuration",
            "since=yesterday": "RFC 3339",
        }.items():
            answer = await http.get(f"/v1/traces?{query}")
            assert answer.status_code == 400
            assert why in answer.json()["error"]["message"]

    with_http(scenario)


def test_jaegers_clients_find_services_operations_and_traces() -> None:
    async def scenario(http: httpx2.AsyncClient) -> None:
        body = export(1, trace="1".rjust(32, "0")).SerializeToString()
        assert (await http.post("/v1/traces", content=body, headers=PROTOBUF)).is_success
        await known(http, "1".rjust(32, "0"))

        async def data(path: str) -> Any:
            answer = (await http.get(path)).json()
            assert answer["errors"] is None
            return answer["data"]

        assert await data("/api/services") == ["web"]
        assert await data("/api/services/web/operations") == ["GET /"]
        assert await data("/api/operations?service=web") == [{"name": "GET /", "spanKind": ""}]
        tags = "%7B%22http.status_code%22%3A%22200%22%7D"
        for query, count in {
            f"service=web&tags={tags}&lookback=1h&minDuration=1ms": 1,
            "service=web&tag=error:true": 0,
            "service=web&start=1764331200000000&end=1764331200000001": 1,
            "service=web&start=1764331200000001": 0,
            "traceID=1&traceID=2": 1,
        }.items():
            assert len(await data(f"/api/traces?{query}")) == count, query
        assert (await data("/api/traces/1"))[0]["spans"][0]["operationName"] == "GET /"
        for path, status in {
            "/api/traces/2": 404,
            "/api/traces": 400,
            "/api/traces?service=web&tags=x": 400,
            "/api/traces?service=web&limit=x": 400,
            "/api/traces?service=web&minDuration=x": 400,
        }.items():
            answer = await http.get(path)
            assert answer.status_code == status, path
            assert answer.json()["errors"][0]["code"] == status

    with_http(scenario)


def test_jaegers_json_is_as_its_ui_reads_it() -> None:
    assert jaeger_trace(bookinfo_trace()) == json.loads(GOLDEN.read_text())


def test_a_waterfall_has_callers_before_those_they_call() -> None:
    first, second, third = bookinfo_trace()
    lost = span(9, 8)
    found = in_order([lost, third, first, second])
    assert found == [(0, first), (1, second), (2, third), (0, lost)]
    # Nobody is above these two but themselves.
    circle = [span(1, 2), span(2, 1)]
    assert [depth for depth, _ in in_order(circle)] == [0, 1]
