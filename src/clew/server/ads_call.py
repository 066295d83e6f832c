"""One proxy's ADS stream: moves messages between the call and its state machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
)
from clew.model.proxy import Proxy
from clew.model.service import Locality
from clew.model.xds import HEALTH_INFORMATION, TRUST_BUNDLE, Published
from clew.server.http2.call import (
    FAILED_PRECONDITION,
    INTERNAL,
    INVALID_ARGUMENT,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    Call,
)
from clew.server.mtls import Peer, peer_of
from clew.server.publications import Changed, OnPublish
from clew.server.registration import (
    NoSuchGroup,
    Registered,
    Registration,
    RegistrationRefused,
)
from clew.server.trust import BUNDLE, Follower, TrustBundles
from clew.xds.answers import Acked, Conversation, Nacked, Response

log = logging.getLogger("clew.ads")

# A proxy that takes nothing for so long is cut off; it reconnects and hears only what it missed.
STALLED_SECONDS = 30.0
# What a proxy may say before it has been let in: one request for each type, and some more.
MOST_EARLY_REQUESTS = 100

Connection = TypeVar("Connection")
Request = TypeVar("Request", DeltaDiscoveryRequest, DiscoveryRequest)
Heard = TypeVar("Heard", contravariant=True)


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


class Stream(Conversation, Protocol[Heard]):
    """The state machine of one stream (``clew.xds``)."""

    def receive(self, request: Heard) -> Acked | Nacked | None: ...

    def poll(self) -> Response | None: ...

    def publish(self, published: Published, changed: Changed | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Admission(Generic[Connection]):
    """What lets proxies in. ``refusal``: why a caller may not be this proxy, "" if it may."""

    directory: ProxyDirectory[Connection]
    refusal: Callable[[Proxy, Peer | None], str]
    registration: Registration | None = None
    trust: TrustBundles | None = None


@dataclass(slots=True)
class _Admitted(Generic[Connection]):
    proxy: Proxy
    registered: Registered | None
    follower: Follower
    connection: Connection


class AdsCall(Generic[Connection, Request]):
    """Handles one call. What the proxy says before it is let in waits."""

    def __init__(
        self,
        admission: Admission[Connection],
        call: Call,
        parse: Callable[[bytes], Request],
        stream: Stream[Request],
    ) -> None:
        self._admission = admission
        self._call = call
        self._peer = peer_of(call.caller)
        self._parse: Callable[[bytes], Request] = parse
        self._stream: Stream[Request] = stream
        self._loop = asyncio.get_running_loop()
        self._early: list[Request] = []
        self._admitting: asyncio.Task[None] | None = None
        self._admitted: _Admitted[Connection] | None = None
        self._waking: asyncio.Handle | None = None
        self._stalling: asyncio.TimerHandle | None = None

    def message(self, body: bytes) -> None:
        try:
            request = self._parse(body)
        except DecodeError:
            self._call.finish(INVALID_ARGUMENT, "this is not a discovery request")
            return
        if self._admitted is not None:
            self._take(self._admitted, request)
        elif len(self._early) >= MOST_EARLY_REQUESTS:
            self._call.finish(RESOURCE_EXHAUSTED, "too many requests at once")
        else:
            self._early.append(request)
            if self._admitting is None:
                self._admitting = asyncio.ensure_future(self._let_in(request.node))

    def ended(self) -> None:
        self._call.finish()

    def drained(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None
        self._write()

    def closed(self) -> None:
        for pending in (self._admitting, self._waking, self._stalling):
            if pending is not None:
                pending.cancel()
        admitted, self._admitted = self._admitted, None
        if admitted is None:
            return
        self._admission.directory.disconnect(admitted.connection)
        admitted.follower.disconnect()
        if admitted.registered is not None and self._admission.registration is not None:
            self._admission.registration.disconnect(admitted.registered)
        log.info("proxy disconnected proxy=%s", admitted.proxy.node_id)

    async def _let_in(self, node: Node) -> None:
        """Connect the proxy that this node describes, if the caller may be it."""
        try:
            await self._admit(node)
        except _Refused as refused:
            log.warning("proxy refused proxy=%r reason=%s", node.id, refused)
            self._call.finish(refused.code, str(refused))
        except Exception:
            self._failed(node.id)

    async def _admit(self, node: Node) -> None:
        admission = self._admission
        try:
            proxy = proxy_of(node)
        except (ValueError, TypeError) as error:
            raise _Refused(INVALID_ARGUMENT, str(error)) from None
        if refusal := admission.refusal(proxy, self._peer):
            raise _Refused(PERMISSION_DENIED, refusal)
        registered = await self._register(proxy)
        follower = Follower(admission.trust, proxy, self._stream.publish, self._wake)
        connection = admission.directory.connect(proxy, follower.publish, self._stream)
        self._admitted = _Admitted(proxy, registered, follower, connection)
        log.info("proxy connected proxy=%s", proxy.node_id)
        for request in self._early:
            self._take(self._admitted, request)
        self._early.clear()

    async def _register(self, proxy: Proxy) -> Registered | None:
        registration = self._admission.registration
        if registration is None:
            return None
        try:
            return await registration.connect(proxy, self._peer.identity if self._peer else None)
        except RegistrationRefused as error:
            raise _Refused(PERMISSION_DENIED, str(error)) from None
        except NoSuchGroup as error:
            raise _Refused(FAILED_PRECONDITION, str(error)) from None

    def _take(self, admitted: _Admitted[Connection], request: Request) -> None:
        if request.type_url == HEALTH_INFORMATION:
            if admitted.registered is not None and self._admission.registration is not None:
                problem = _problem_of(request)
                self._admission.registration.report_health(admitted.registered, problem)
            return
        verdict = self._stream.receive(request)
        if verdict is not None:
            _log_verdict(admitted.proxy, verdict)
            self._admission.directory.report(admitted.connection, verdict)
        if request.type_url == TRUST_BUNDLE:
            follows = self._stream.wants(TRUST_BUNDLE, BUNDLE)
            admitted.follower.heard(verdict, follows=follows)
        self._write()

    def _wake(self) -> None:
        """There may be something to say, once whoever publishes has finished."""
        if self._waking is None:
            self._waking = self._loop.call_soon(self._wakes)

    def _wakes(self) -> None:
        self._waking = None
        try:
            self._write()
        except Exception:
            self._failed(self._admitted.proxy.node_id if self._admitted else "")

    def _write(self) -> None:
        """Send what the stream has to say, as fast as the proxy takes it."""
        if self._admitted is None:
            return
        while self._call.idle and (response := self._stream.poll()) is not None:
            self._call.send(response.body)
            if log.isEnabledFor(logging.DEBUG):
                _log_push(self._admitted.proxy, response)
        if not self._call.idle and self._stalling is None:
            self._stalling = self._loop.call_later(STALLED_SECONDS, self._stalled)

    def _stalled(self) -> None:
        if self._admitted is not None:
            log.warning("proxy takes nothing, cut off proxy=%s", self._admitted.proxy.node_id)
        self._call.abort(UNAVAILABLE, "nothing has been taken for too long; connect again")

    def _failed(self, node_id: str) -> None:
        """The bulkhead: one proxy's trouble is not another's. It keeps its configuration."""
        log.exception("stream failed, the proxy will reconnect proxy=%s", node_id)
        self._call.abort(INTERNAL, "the stream failed; the control plane's log says why")


class _Refused(Exception):
    """The caller is not let in."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


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


def _log_push(proxy: Proxy, response: Response) -> None:
    log.debug(
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
