"""Action CUSTOM at a real gateway: who is asked, what about, and what holds when nobody answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from clew._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from clew._pb.google.rpc.status_pb2 import Status
from tests.envoy.program import response, serving
from tests.envoy.rig import free_port
from tests.envoy.test_authorization_policies import (
    TCP,
    gateway,
    paths,
    policy,
    remove,
    until_answered,
    until_refused,
)

# The authorizer is a service of the mesh.
SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: authorizer}}
spec:
  hosts: [authorizer.example.com]
  resolution: STATIC
  ports: [{{number: 9000, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
"""


def mesh_config(kind: str = "envoyExtAuthzHttp", **provider: object) -> str:
    settings = {"service": "default/authorizer.example.com", "port": 9000, **provider}
    providers = [{"name": "asked", kind: settings}]
    data = {"mesh": json.dumps({"extensionProviders": providers})}
    metadata = {"name": "istio", "namespace": "istio-system"}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


CUSTOM = policy("CUSTOM", paths("/private"), provider={"name": "asked"})


@asynccontextmanager
async def authorizer(status: int) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that always says the same; yields its port, and what it was asked about."""
    asked: list[str] = []

    def answer(head: bytes) -> bytes:
        asked.append(head.split()[1].decode())
        return response(status=f"{status} Said")

    async with serving(answer) as port:
        yield port, asked


@pytest.mark.proves(
    "AuthorizationPolicySpec.action=CUSTOM",
    "AuthorizationPolicySpec.provider",
    "AuthorizationProvider.name",
    "EnvoyExternalAuthorizationHttpProvider.service",
    "EnvoyExternalAuthorizationHttpProvider.port",
    "EnvoyExternalAuthorizationHttpProvider.pathPrefix",
)
@pytest.mark.parametrize(("says", "answer"), [(200, 200), (403, 403), (302, 302)])
def test_the_authorizer_is_asked_about_what_the_rules_match(
    says: int, answer: int, tmp_path: Path
) -> None:
    async def run() -> None:
        async with authorizer(says) as (port, asked):
            more = (SERVICE.format(port=port), mesh_config(pathPrefix="/check"))
            async with gateway(tmp_path, *more) as (mesh, at):
                await mesh.apply(CUSTOM)
                found = await mesh.status("AuthorizationPolicy", "flip")
                assert found.state == "in force", found
                while not asked:
                    await until_answered(at, "/private", answer)
                await until_answered(at, "/private", answer)
                assert set(asked) == {"/check/private"}
                await remove(mesh)
                await until_answered(at, "/private", 200)

    asyncio.run(run())


@pytest.mark.proves(
    "EnvoyExternalAuthorizationHttpProvider.failOpen",
    "EnvoyExternalAuthorizationHttpProvider.statusOnError",
)
@pytest.mark.parametrize(("fail_open", "answer"), [(True, 200), (False, 503)])
def test_what_holds_when_the_authorizer_is_not_there(
    fail_open: bool, answer: int, tmp_path: Path
) -> None:
    async def run() -> None:
        more = (
            SERVICE.format(port=free_port()),
            mesh_config(failOpen=fail_open, statusOnError="503"),
            CUSTOM,
        )
        async with gateway(tmp_path, *more) as (_, at):
            await until_answered(at, "/open", 200)
            await until_answered(at, "/private", answer)

    asyncio.run(run())


def test_without_a_provider_what_would_be_asked_is_denied(tmp_path: Path) -> None:
    async def run() -> None:
        async with gateway(tmp_path, CUSTOM) as (_, at):
            await until_answered(at, "/open", 200)
            await until_answered(at, "/private", 403)

    asyncio.run(run())


@asynccontextmanager
async def grpc_authorizer(status: int) -> AsyncIterator[tuple[int, list[CheckRequest]]]:
    """The same over gRPC; ``status`` is gRPC's."""
    asked: list[CheckRequest] = []

    async def check(request: CheckRequest, _context: object) -> CheckResponse:
        asked.append(request)
        return CheckResponse(status=Status(code=status))

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=CheckRequest.FromString,
        response_serializer=CheckResponse.SerializeToString,
    )
    service = "envoy.service.auth.v3.Authorization"
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port, asked
    finally:
        await server.stop(grace=None)


GRPC_SERVICE = SERVICE.replace("protocol: HTTP}", "protocol: GRPC}")
OK, PERMISSION_DENIED = 0, 7


@pytest.mark.parametrize(("says", "answer"), [(OK, 200), (PERMISSION_DENIED, 403)])
def test_an_authorizer_over_grpc_is_asked_about_requests(
    says: int, answer: int, tmp_path: Path
) -> None:
    async def run() -> None:
        async with grpc_authorizer(says) as (port, asked):
            more = (GRPC_SERVICE.format(port=port), mesh_config("envoyExtAuthzGrpc"), CUSTOM)
            async with gateway(tmp_path, *more) as (_, at):
                while not asked:
                    await until_answered(at, "/private", answer)
                await until_answered(at, "/open", 200)
        assert {each.attributes.request.http.path for each in asked} == {"/private"}

    asyncio.run(run())


def test_an_authorizer_over_grpc_is_asked_about_connections(tmp_path: Path) -> None:
    tcp = free_port()
    rule = {"to": [{"operation": {"ports": [str(tcp)]}}]}
    custom = policy("CUSTOM", rule, provider={"name": "asked"})

    async def run(says: int) -> list[CheckRequest]:
        async with grpc_authorizer(says) as (port, asked):
            more = (GRPC_SERVICE.format(port=port), mesh_config("envoyExtAuthzGrpc"), custom)
            async with gateway(folder(says), *more, TCP.format(port=tcp)) as (_, at):
                await until_answered(at, "/open", 200)
                while not asked:
                    await (until_answered(tcp, "/", 200) if says == OK else until_refused(tcp))
        return asked

    def folder(says: int) -> Path:
        (tmp_path / str(says)).mkdir()
        return tmp_path / str(says)

    for says in (OK, PERMISSION_DENIED):
        for each in asyncio.run(run(says)):
            assert each.attributes.destination.address.socket_address.port_value == tcp
