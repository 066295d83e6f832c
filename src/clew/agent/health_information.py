"""Tells the control plane how a member of a WorkloadGroup is, over xDS as Istio's agent does."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial

import grpc
from google.protobuf.json_format import ParseDict

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from clew.agent.ads_stream import ads_stream
from clew.agent.backoff import delays
from clew.agent.conditions import Conditions
from clew.agent.node import node
from clew.agent.spec import AgentSpec
from clew.model.xds import HEALTH_INFORMATION

log = logging.getLogger("clew.agent")

# Source: istio's agent reports an unhealthy workload with the code of a failed HTTP probe.
_UNHEALTHY = 500


def problem(conditions: Conditions) -> str:
    """Return why the workload cannot serve; "" if it can."""
    if conditions.ready:
        return ""
    if conditions.stopping:
        return "the program is stopping"
    if not conditions.envoy_ready:
        return "its proxy is not ready"
    return "the health check fails"


def health_request(spec: AgentSpec, found: str) -> DeltaDiscoveryRequest:
    """Return the report: a request that carries an error when there is a problem."""
    request = DeltaDiscoveryRequest(node=ParseDict(node(spec), Node()), type_url=HEALTH_INFORMATION)
    if found:
        request.error_detail.code = _UNHEALTHY
        request.error_detail.message = found
    return request


class HealthReports:
    """Reports each change for as long as the workload is there.

    A new stream begins with the present state, so a control plane that was away hears it.
    """

    def __init__(self, spec: AgentSpec, conditions: Conditions) -> None:
        self._spec = spec
        self._conditions = conditions
        self._heard = False  # the present stream took a report
        self._said_last = asyncio.Event()

    async def run(self) -> None:
        """Report until cancelled."""
        await self._conditions.wait_for(lambda: self._conditions.envoy_ready)
        while True:
            for delay in delays(0.1, 5.0):
                self._heard = False
                # InvalidStateError: the stream ended while a report was on its way.
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await self._report()
                await asyncio.sleep(delay)
                if self._heard:
                    break

    async def said_that_it_stops(self) -> None:
        await self._said_last.wait()

    async def _report(self) -> None:
        async with ads_stream(self._spec) as stream:
            ended = asyncio.ensure_future(_until_the_end(stream))
            try:
                while not ended.done():
                    found = problem(self._conditions)
                    await stream.write(health_request(self._spec, found))
                    self._heard = True
                    log.info("reported health problem=%r", found)
                    if self._conditions.stopping:
                        self._said_last.set()
                    await self._change_from(found, ended)
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)

    async def _change_from(self, found: str, ended: asyncio.Future[None]) -> None:
        differs = partial(_differs, self._conditions, found)
        changed = asyncio.ensure_future(self._conditions.wait_for(differs))
        try:
            await asyncio.wait((changed, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            await asyncio.gather(changed, return_exceptions=True)


def _differs(conditions: Conditions, found: str) -> bool:
    return problem(conditions) != found


async def _until_the_end(stream: grpc.aio.StreamStreamCall) -> None:
    """Nothing is ever sent on it; that it can be read means that it has ended."""
    while await stream.read() is not grpc.aio.EOF:
        pass
