"""The ADS service: moves messages between proxies and their streams, and decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import grpc
from google.protobuf.json_format import MessageToDict

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
)
from clew.model.proxy import Proxy
from clew.model.service import Locality
from clew.model.spiffe import Identity
from clew.model.xds import HEALTH_INFORMATION, TRUST_BUNDLE
from clew.server.mtls import Peer, peer_of
from clew.server.registration import NoSuchGroup, Registration, RegistrationRefused
from clew.server.trust import Follower, OnPublish, TrustBundles
from clew.xds.answers import Acked, Conversation, Nacked, Response
from clew.xds.delta_stream import DeltaStream
from clew.xds.sotw_stream import SotwStream

log = logging.getLogger("clew.ads")

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
# A proxy that takes nothing for so long is cut off; it reconnects and hears only what it missed.
STALLED_SECONDS = 30.0

Connection = TypeVar("Connection")
Request = TypeVar("Request", DeltaDiscoveryRequest, DiscoveryRequest)


class ProxyDirectory(Protocol[Connection]):
    """What decides: which resources each proxy gets. All calls come from one event loop."""

    def connect(
        self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation
    ) -> Connection:
        """A proxy has come. Calls ``on_publish`` with its resources, now and at each change."""
        ...

    def report(self, connection: Connection, verdict: Acked | Nacked) -> None:
        """The proxy accepted or refused a response."""
        ...

    def disconnect(self, connection: Connection) -> None:
        """The proxy has gone; ``on_publish`` is not called any more."""
        ...


# Whether the caller with this certificate may be this proxy: "", or why not.
Authenticate = Callable[[Proxy, Peer | None], str]


def require_identity(trust_domains: Callable[[], Sequence[str]]) -> Authenticate:
    """The rule that a proxy is what its certificate says: of its namespace and service account,
    in one of the mesh's trust domains, and the very proxy that the certificate was made for.

    Source: istio PILOT_ENABLE_XDS_IDENTITY_CHECK, which leaves the proxy's name open.
    """

    def authenticate(proxy: Proxy, peer: Peer | None) -> str:
        domains = trust_domains()
        claimed = Identity(domains[0], proxy.namespace, proxy.service_account)
        if peer is None:
            return f"{claimed} is not proven: connect with the workload's certificate"
        proven = peer.identity
        if (
            proven.trust_domain not in domains
            or replace(proven, trust_domain=domains[0]) != claimed
        ):
            return f"the certificate is of {proven}, the proxy claims to be {claimed}"
        name = f"{proxy.name}.{proxy.namespace}"
        if peer.proxy != name:
            certified = f"proxy {peer.proxy}" if peer.proxy else "no proxy by name"
            return f"the certificate of {proven} is for {certified}, not for {name}"
        return ""

    return authenticate


class AdsServer(Generic[Connection]):
    """Delta and state-of-the-world ADS as gRPC handlers. Responses go out as ready bytes."""

    def __init__(
        self,
        directory: ProxyDirectory[Connection],
        authenticate: Authenticate,
        registration: Registration | None = None,
        trust: TrustBundles | None = None,
    ) -> None:
        self._directory = directory
        self._authenticate = authenticate
        self._registration = registration
        self._trust = trust

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    self._delta, request_deserializer=DeltaDiscoveryRequest.FromString
                ),
                "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    self._sotw, request_deserializer=DiscoveryRequest.FromString
                ),
            },
        )

    async def _delta(
        self, requests: AsyncIterator[DeltaDiscoveryRequest], context: grpc.aio.ServicerContext
    ) -> None:
        stream = DeltaStream()
        await self._serve(requests, context, stream.receive, stream.poll, stream.publish, stream)

    async def _sotw(
        self, requests: AsyncIterator[DiscoveryRequest], context: grpc.aio.ServicerContext
    ) -> None:
        stream = SotwStream()
        await self._serve(requests, context, stream.receive, stream.poll, stream.publish, stream)

    async def _serve(
        self,
        requests: AsyncIterator[Request],
        context: grpc.aio.ServicerContext,
        receive: Callable[[Request], Acked | Nacked | None],
        poll: Callable[[], Response | None],
        publish: OnPublish,
        conversation: Conversation,
    ) -> None:
        """Talk to one proxy until it hangs up."""
        first = await anext(requests, None)
        if first is None:
            return
        proxy = await self._admit(first.node, context)
        async with self._registered(proxy, context) as report_health:

            def hear(request: Request) -> Acked | Nacked | None:
                if request.type_url != HEALTH_INFORMATION:
                    return receive(request)
                report_health(_problem_of(request))
                return None

            following = _after(first, requests)
            await self._converse(proxy, following, context, hear, poll, publish, conversation)

    async def _converse(
        self,
        proxy: Proxy,
        requests: AsyncIterator[Request],
        context: grpc.aio.ServicerContext,
        receive: Callable[[Request], Acked | Nacked | None],
        poll: Callable[[], Response | None],
        publish: OnPublish,
        conversation: Conversation,
    ) -> None:
        wake = asyncio.Event()
        follower = Follower(self._trust, proxy, publish, wake.set)
        connection = self._directory.connect(proxy, follower.publish, conversation)
        log.info("proxy connected proxy=%s", proxy.node_id)

        def take(request: Request) -> None:
            verdict = receive(request)
            if verdict is not None:
                _log_verdict(proxy, verdict)
                self._directory.report(connection, verdict)
            if request.type_url == TRUST_BUNDLE:
                follower.heard(verdict)
            wake.set()

        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(_write(context, poll, wake, proxy))
                async for request in requests:
                    take(request)
                writer.cancel()
        except Exception:
            # The bulkhead: one proxy's trouble is not another's. It keeps its configuration.
            log.exception("stream failed, the proxy will reconnect proxy=%s", proxy.node_id)
            reason = "the stream failed; the control plane's log says why"
            await context.abort(grpc.StatusCode.INTERNAL, reason)
        finally:
            self._directory.disconnect(connection)
            follower.disconnect()
            log.info("proxy disconnected proxy=%s", proxy.node_id)

    @asynccontextmanager
    async def _registered(
        self, proxy: Proxy, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Callable[[str | None], None]]:
        """What to tell of the workload's health to, while it is connected; abort if it may not."""
        registration = self._registration
        if registration is None:
            yield lambda problem: None
            return
        try:
            peer = peer_of(context)
            stream = await registration.connect(proxy, peer.identity if peer else None)
        except (RegistrationRefused, NoSuchGroup) as error:
            log.warning("proxy not registered proxy=%s reason=%s", proxy.node_id, error)
            refused = isinstance(error, RegistrationRefused)
            code = grpc.StatusCode.PERMISSION_DENIED
            await context.abort(
                code if refused else grpc.StatusCode.FAILED_PRECONDITION, str(error)
            )
        if stream is None:
            yield lambda problem: None
            return
        try:
            yield partial(registration.report_health, stream)
        finally:
            registration.disconnect(stream)

    async def _admit(self, node: Node, context: grpc.aio.ServicerContext) -> Proxy:
        """The proxy that this node describes, unless the caller may not be it: then abort."""
        try:
            proxy = proxy_of(node)
        except (ValueError, TypeError) as error:
            log.warning("proxy refused node=%r reason=%s", node.id, error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        refusal = self._authenticate(proxy, peer_of(context))
        if refusal:
            log.warning("proxy refused proxy=%r reason=%s", proxy.node_id, refusal)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)
        return proxy


async def _after(first: Request, rest: AsyncIterator[Request]) -> AsyncIterator[Request]:
    yield first
    async for request in rest:
        yield request


def _problem_of(request: DeltaDiscoveryRequest | DiscoveryRequest) -> str | None:
    """What a report of health says; None: the workload is healthy.

    Source: istio ``handleWorkloadHealthcheck``.
    """
    if not request.HasField("error_detail"):
        return None
    return request.error_detail.message or "the health check fails"


def proxy_of(node: Node) -> Proxy:
    """What the node message says. Raises: ValueError, TypeError."""
    locality = Locality(node.locality.region, node.locality.zone, node.locality.sub_zone)
    metadata: dict[str, Any] = MessageToDict(node.metadata)
    return Proxy.from_node(node.id, metadata, locality)


async def _write(
    context: grpc.aio.ServicerContext,
    poll: Callable[[], Response | None],
    wake: asyncio.Event,
    proxy: Proxy,
) -> None:
    """Send what the stream has to say, whenever it may have something."""
    while True:
        await wake.wait()
        wake.clear()
        while (response := poll()) is not None:
            async with asyncio.timeout(STALLED_SECONDS):
                await context.write(response.body)
            log.info(
                "push proxy=%s type=%s resources=%d bytes=%d nonce=%s",
                proxy.node_id,
                response.type_url.rpartition(".")[2],
                len(response.versions),
                len(response.body),
                response.nonce,
            )


def _log_verdict(proxy: Proxy, verdict: Acked | Nacked) -> None:
    if isinstance(verdict, Nacked):
        log.warning(
            "proxy refused a push and keeps what it had proxy=%s type=%s resources=%s reason=%s",
            proxy.node_id,
            verdict.type_url.rpartition(".")[2],
            ",".join(verdict.versions),
            verdict.detail,
        )
