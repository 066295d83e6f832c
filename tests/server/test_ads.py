import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from clew.ca.authority import Authority
from clew.ca.keys import load_or_create
from clew.model.proxy import Proxy
from clew.model.service import NOWHERE
from clew.model.spiffe import Identity
from clew.model.xds import CLUSTER, HEALTH_INFORMATION, EnvoyResource, Published
from clew.server.ads import SERVICE, AdsServer, require_identity
from clew.server.mtls import Peer, ServingCertificate
from clew.server.publications import OnPublish
from clew.server.registration import Registration
from clew.xds.answers import Acked, Conversation
from tests.server.directory import Connected, Directory
from tests.server.joined_group import GROUP, Place, health, is_gone
from tests.server.serving import serving
from tests.server.workload import call_options, workload
from tests.xds.conversation import resources

NODE = "sidecar~10.0.0.7~reviews-v1-0.default~default.svc.cluster.local"
PUBLISHED: Published = {CLUSTER: resources(a="1")}


@asynccontextmanager
async def ads(
    directory: Directory, tmp_path: Path, registration: Registration | None = None
) -> AsyncIterator[tuple[str, Authority]]:
    authority = load_or_create(tmp_path / "ca", "cluster.local", now=datetime.now(UTC))
    check = require_identity(lambda: ("cluster.local",))
    address = f"unix:{tmp_path}/xds.sock"
    certificate = ServingCertificate(lambda: authority, "cluster.local")
    methods = AdsServer(directory, check, registration).methods()
    async with serving(address, methods, certificate.mutual):
        yield address, authority


@asynccontextmanager
async def delta_call(
    address: str,
    authority: Authority,
    service_account: str = "default",
    proxy: str = "reviews-v1-0",
) -> AsyncIterator[Any]:
    credentials = workload(authority, "default", service_account, proxy).credentials()
    async with grpc.aio.secure_channel(address, credentials, options=call_options()) as channel:
        method = channel.stream_stream(
            f"/{SERVICE}/DeltaAggregatedResources",
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )
        call = method(timeout=20)
        yield call
        call.cancel()


def first_request(node_id: str = NODE) -> DeltaDiscoveryRequest:
    request = DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = node_id
    return request


def test_a_proxy_is_served_reports_and_is_gone_when_it_hangs_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        directory = Directory(PUBLISHED)
        async with ads(directory, tmp_path) as (address, authority):
            async with delta_call(address, authority) as call:
                await call.write(first_request())
                response = await call.read()
                assert [(r.name, r.version) for r in response.resources] == [("a", "1")]
                await call.write(
                    DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce=response.nonce)
                )
                await directory.acked(CLUSTER, "a", "1")
                assert directory.verdicts == [Acked(CLUSTER, {"a": "1"})]
                assert [c.proxy.node_id for c in directory.connected] == [NODE]
                directory.publish({CLUSTER: resources(a="1", b="1")})
                assert [r.name for r in (await call.read()).resources] == ["b"]
            await directory.until(lambda: not directory.connected)

    asyncio.run(scenario())


def test_a_state_of_the_world_client_is_served_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ads(Directory(PUBLISHED), tmp_path) as (address, authority):
            own = workload(authority, "default", "default", "reviews-v1-0")
            credentials = own.credentials()
            channel = grpc.aio.secure_channel(address, credentials, options=call_options())
            async with channel:
                call = channel.stream_stream(
                    f"/{SERVICE}/StreamAggregatedResources",
                    request_serializer=DiscoveryRequest.SerializeToString,
                    response_deserializer=DiscoveryResponse.FromString,
                )(timeout=20)
                request = DiscoveryRequest(type_url=CLUSTER)
                request.node.id = NODE
                await call.write(request)
                assert [r.value for r in (await call.read()).resources] == [b"a=1"]
                call.cancel()

    asyncio.run(scenario())


def test_a_proxy_of_another_service_account_is_refused_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        directory = Directory(PUBLISHED)
        async with (
            ads(directory, tmp_path) as (address, authority),
            delta_call(address, authority, "bookinfo-ratings") as call,
        ):
            await call.write(first_request())
            assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
            assert "sa/bookinfo-ratings" in await call.details()
        assert directory.connected == []

    asyncio.run(scenario())
    assert f"proxy refused proxy={NODE!r}" in caplog.text


def test_a_node_id_that_is_none_is_refused_with_the_form_it_must_have(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            ads(Directory(PUBLISHED), tmp_path) as (address, authority),
            delta_call(address, authority) as call,
        ):
            await call.write(first_request("envoy-1"))
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "<sidecar|router>~<ip>~<name>.<namespace>~<domain>" in await call.details()

    asyncio.run(scenario())


def test_without_a_client_certificate_there_is_no_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ads(Directory(PUBLISHED), tmp_path) as (address, authority):
            root = workload(authority, "default", "default").root.encode()
            credentials = grpc.ssl_channel_credentials(root)
            async with grpc.aio.secure_channel(
                address, credentials, options=call_options()
            ) as channel:
                call = channel.stream_stream(f"/{SERVICE}/DeltaAggregatedResources")(timeout=20)
                assert await call.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(scenario())


class Failing(Directory):
    """Publishes something that cannot be sent to the proxy called bad."""

    def connect(self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation) -> Connected:
        connection = super().connect(proxy, on_publish, conversation)
        if proxy.name == "bad":
            broken = EnvoyResource("a", "2", "not bytes")  # type: ignore[arg-type]  # our mistake
            on_publish({CLUSTER: {"a": broken}}, None)
        return connection


def test_a_failure_ends_one_stream_and_names_the_proxy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        directory = Failing(PUBLISHED)
        async with (
            ads(directory, tmp_path) as (address, authority),
            delta_call(address, authority) as good,
            delta_call(address, authority, proxy="bad") as bad,
        ):
            await good.write(first_request())
            await good.read()
            await bad.write(first_request(NODE.replace("reviews-v1-0", "bad")))
            assert await bad.code() is grpc.StatusCode.INTERNAL
            assert [c.proxy.name for c in directory.connected] == ["reviews-v1-0"]
            directory.publish({CLUSTER: resources(b="1")})
            assert [r.name for r in (await good.read()).resources] == ["b"]

    asyncio.run(scenario())
    assert "the proxy will reconnect proxy=sidecar~10.0.0.7~bad.default" in caplog.text


def test_the_identity_must_be_that_of_the_node() -> None:
    check = require_identity(lambda: ("cluster.local", "old.domain"))
    proxy = Proxy.from_node(NODE, {"SERVICE_ACCOUNT": "reviews"}, NOWHERE)
    name = "reviews-v1-0.default"
    for domain in ("cluster.local", "old.domain"):
        assert check(proxy, Peer(Identity(domain, "default", "reviews"), name)) == ""
    assert "not proven" in check(proxy, None)
    for other in (
        Identity("cluster.local", "default", "ratings"),
        Identity("cluster.local", "other", "reviews"),
        Identity("elsewhere", "default", "reviews"),
    ):
        assert "claims to be" in check(proxy, Peer(other, name))
    own = Identity("cluster.local", "default", "reviews")
    assert "is for proxy reviews-v1-1.default" in check(proxy, Peer(own, "reviews-v1-1.default"))
    assert "is for no proxy by name" in check(proxy, Peer(own))


def member_request(health: str | None = None, group: str = "vm") -> DeltaDiscoveryRequest:
    request = DeltaDiscoveryRequest(type_url=HEALTH_INFORMATION)
    request.node.id = "sidecar~10.0.0.7~vm-0.default~default.svc.cluster.local"
    probe = {"readinessProbe": {"tcpSocket": {"port": 9080}}}
    request.node.metadata.update(
        {"AUTO_REGISTER_GROUP": group, "PROXY_CONFIG": probe, "SERVICE_ACCOUNT": "reviews"}
    )
    if health is not None:
        request.error_detail.message = health
    return request


def test_a_member_of_a_group_is_registered_and_its_reports_are_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        place = Place()
        await place.apply(GROUP)
        async with (
            place.control_plane() as registration,
            ads(Directory(PUBLISHED), tmp_path, registration) as (address, authority),
        ):
            async with delta_call(address, authority, "reviews", "vm-0") as call:
                await call.write(member_request("connection refused"))
                await place.until(lambda entry: health(entry).get("status") == "False")
                assert health(await place.entry())["message"] == "connection refused"
                await call.write(member_request())
                await place.until(lambda entry: health(entry).get("status") == "True")
                await call.write(DeltaDiscoveryRequest(type_url=CLUSTER))
                assert [r.name for r in (await call.read()).resources] == ["a"]
            await place.until(is_gone)

    asyncio.run(scenario())


def test_a_member_without_its_group_or_identity_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        place = Place()
        await place.apply(GROUP)
        async with (
            place.control_plane() as registration,
            ads(Directory(PUBLISHED), tmp_path, registration) as (address, authority),
        ):
            async with delta_call(address, authority, "reviews", "vm-0") as call:
                await call.write(member_request(group="other"))
                assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert "there is no WorkloadGroup default/other" in await call.details()
            async with delta_call(address, authority, "somebody", "vm-0") as call:
                request = member_request()
                request.node.metadata.update({"SERVICE_ACCOUNT": "somebody"})
                await call.write(request)
                assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
            assert await place.entry() is None

    asyncio.run(scenario())
