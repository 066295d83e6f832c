"""A delta ADS stream of the agent's own to the control plane, through the workload's Envoy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import grpc
from google.protobuf.json_format import ParseDict

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew.agent.backoff import delays
from clew.agent.directory import CONTROL_PLANE_SOCKET
from clew.agent.node import node
from clew.agent.spec import AgentSpec
from clew.model import names

log = logging.getLogger("clew.agent")

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_LONGEST_MESSAGE = 64 * 1024 * 1024
_FAREWELL_SECONDS = 2.0


@asynccontextmanager
async def control_plane(spec: AgentSpec) -> AsyncIterator[grpc.aio.Channel]:
    """A way to the control plane; Envoy authenticates both sides."""
    target = f"unix:{Path(spec.directory, CONTROL_PLANE_SOCKET)}"
    options = [
        ("grpc.max_receive_message_length", _LONGEST_MESSAGE),
        ("grpc.default_authority", names.CONTROL_PLANE_SERVER_NAME),
        # A channel lives as long as its stream; sharing would keep a dead connection's backoff.
        ("grpc.use_local_subchannel_pool", 1),
        # It would ask how far away the other side is with each message; it is on this host.
        ("grpc.http2.bdp_probe", 0),
    ]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield channel


def open_stream(channel: grpc.aio.Channel) -> Any:
    return channel.stream_stream(
        _METHOD,
        request_serializer=DeltaDiscoveryRequest.SerializeToString,
        response_deserializer=DeltaDiscoveryResponse.FromString,
    )()


@asynccontextmanager
async def ads_stream(spec: AgentSpec) -> AsyncIterator[Any]:
    """Open a stream. Raises: grpc.aio.AioRpcError."""
    async with control_plane(spec) as channel:
        yield open_stream(channel)


class XdsClient(Protocol):
    """What follows one type of resources, all of them, over one stream after the other."""

    @property
    def type_url(self) -> str: ...

    def versions(self) -> Mapping[str, str]:
        """What it has, for the control plane to send only what differs."""
        ...

    def receive(self, response: DeltaDiscoveryResponse) -> None:
        """Take a response over."""
        ...

    async def settled(self) -> None:
        """Return when what was received is in use: then it is acknowledged."""
        ...


# What else goes on over the connection, for as long as there is one.
Beside = Callable[[grpc.aio.Channel], Coroutine[Any, Any, None]]


async def follow(spec: AgentSpec, clients: Sequence[XdsClient], beside: Beside) -> None:
    """Keep the clients up to date until cancelled; the last they have heard stays meanwhile."""
    while True:
        for delay in delays(0.1, 10.0):
            received = False
            try:
                async for _ in _responses(spec, clients, beside):
                    received = True
            except grpc.aio.AioRpcError as error:
                log.debug("stream to the control plane ended error=%r", error.details())
            await asyncio.sleep(delay)
            if received:
                break


async def _responses(
    spec: AgentSpec, clients: Sequence[XdsClient], beside: Beside
) -> AsyncIterator[None]:
    """Yield after each response that was received. None waits for another to be in use."""
    by_type = {client.type_url: client for client in clients}
    requests: asyncio.Queue[DeltaDiscoveryRequest] = asyncio.Queue()
    for client in clients:
        requests.put_nowait(_first_request(spec, client))

    async def acknowledge(response: DeltaDiscoveryResponse) -> None:
        try:
            await by_type[response.type_url].settled()
        except OSError as error:  # the disk is full
            log.error("not taken over type=%s reason=%s", response.type_url, error)
            return
        acknowledgement = DeltaDiscoveryRequest(
            type_url=response.type_url, response_nonce=response.nonce
        )
        requests.put_nowait(acknowledgement)

    async with control_plane(spec) as channel:
        stream = open_stream(channel)
        work: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(_send(stream, requests)),
            asyncio.ensure_future(beside(channel)),
        }
        try:
            while (response := await _next(stream, work)) is not grpc.aio.EOF:
                by_type[response.type_url].receive(response)
                _add(work, acknowledge(response))
                yield
        except asyncio.CancelledError:
            await _take_leave(stream, clients)
            raise
        finally:
            await _end(work)


async def _next(stream: Any, work: set[asyncio.Future[Any]]) -> Any:
    """The next response. To cancel the reading itself would end the call, without a farewell."""
    return await asyncio.shield(_add(work, stream.read()))


def _add(work: set[asyncio.Future[Any]], one: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    task = asyncio.ensure_future(one)
    work.add(task)
    task.add_done_callback(work.discard)
    return task


async def _end(work: Set[asyncio.Future[Any]]) -> None:
    tasks = tuple(work)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _take_leave(stream: Any, clients: Sequence[XdsClient]) -> None:
    """Say that nothing is wanted any more, so that nobody waits for this workload.

    It has been heard when the control plane ends the call; Envoy, which passes it on, ends next.
    """
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
        async with asyncio.timeout(_FAREWELL_SECONDS):
            for client in clients:
                farewell = DeltaDiscoveryRequest(
                    type_url=client.type_url, resource_names_unsubscribe=["*"]
                )
                await stream.write(farewell)
            await stream.done_writing()
            await stream.code()


def _first_request(spec: AgentSpec, client: XdsClient) -> DeltaDiscoveryRequest:
    return DeltaDiscoveryRequest(
        node=ParseDict(node(spec), Node()),
        type_url=client.type_url,
        resource_names_subscribe=["*"],
        initial_resource_versions=client.versions(),
    )


async def _send(stream: Any, requests: asyncio.Queue[DeltaDiscoveryRequest]) -> None:
    while True:
        await stream.write(await requests.get())
