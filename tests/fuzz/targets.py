"""Every parser of outside bytes: what it is fed, and the exceptions by which it may refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import dns.message
import msgspec
from google.protobuf.message import DecodeError, Message

from clew._pb.envoy.config.core.v3.base_pb2 import Node
from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
)
from clew.agent.dns_server import DnsServer
from clew.agent.http_client import decode_response
from clew.agent.name_table import NameTables
from clew.agent.spec import AgentSpec, Capture
from clew.api.access import ApiTokenRequest
from clew.ca.authority import Authority, RefusedRequest, bundle, issue, pem
from clew.ca.keys import load_or_create
from clew.ca.plugged_in import (
    CERTIFICATE,
    CHAIN,
    KEY,
    ROOTS,
    UnusableAuthority,
    certificates_in,
    plugged_in,
)
from clew.compile.json_web_keys import has_usable_key
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_documents, parse_mesh_config, parse_mesh_networks
from clew.model.duration import Duration
from clew.model.proxy import Proxy, ProxyType
from clew.model.spiffe import Identity, SpiffeId
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, Published
from clew.server.access import bearer_token
from clew.server.ads_call import proxy_of
from clew.server.http2.call import Call, Caller, Method
from clew.server.http2.connection import Connection, ProtocolError
from clew.server.label_selector import selector
from clew.server.openid import NotDiscovered, keys_of
from clew.server.replies import BadRequest
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from clew.xds.delta_stream import DeltaStream
from clew.xds.sotw_stream import SotwStream

_TESTS = Path(__file__).parents[1]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` raises ``refuses`` or nothing. ``seeds``: what such bytes look like."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    refuses: tuple[type[Exception], ...] = ()

    def feed(self, data: bytes) -> None:
        try:
            self.run(data)
        except self.refuses:
            return


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


@cache
def _manifests() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(_TESTS.glob("golden/*/input.yaml")))


def _yaml(data: bytes) -> None:
    for document in parse_documents(_text(data), "fuzz.yaml"):
        for diagnostic in document.diagnostics:
            str(diagnostic)


def _mesh(data: bytes) -> None:
    """What is accepted can be compiled, for a sidecar and for a router."""
    accepted = [d.resource for d in parse_documents(_text(data)) if d.valid and d.resource]
    snapshot = build_snapshot({each.key: each for each in accepted}.values())
    for kind, labels in ((ProxyType.SIDECAR, "reviews"), (ProxyType.ROUTER, "ingressgateway")):
        proxy = Proxy(
            type=kind,
            name="a",
            namespace="default",
            ip="10.2.0.1",
            labels=(("app", labels), ("istio", labels)),
        )
        compile_proxy(build_scope(snapshot, proxy), Memo())


def _settings(data: bytes) -> None:
    parse_mesh_config(_text(data))
    parse_mesh_networks(_text(data))


@cache
def _authority() -> Authority:
    with TemporaryDirectory() as folder:
        return load_or_create(Path(folder), "cluster.local", now=_NOW)


def _request(data: bytes) -> None:
    name = "spiffe://cluster.local/ns/a/sa/b"
    issue(_authority(), _text(data), name, now=_NOW, serial=1)


def _certificates() -> Iterable[bytes]:
    authority = _authority()
    yield pem(authority.certificate).encode()
    yield bundle((authority.certificate, authority.root)).encode()


def _plugged_in(data: bytes) -> None:
    certificates_in(data)
    plugged_in({CERTIFICATE: data, KEY: data, ROOTS: data, CHAIN: data}, now=_NOW)


def _spiffe(data: bytes) -> None:
    text = _text(data)
    assert str(SpiffeId.parse(text)) == text
    assert str(Identity.parse(text)) == text


def _keys(data: bytes) -> None:
    has_usable_key(_text(data))


@cache
def _resolver() -> tuple[DnsServer, asyncio.AbstractEventLoop]:
    spec = AgentSpec(
        mesh="fuzz",
        type="sidecar",
        name="a",
        namespace="default",
        workload="a",
        ip="127.0.0.1",
        capture=Capture.NONE,
        xds="unix:/nowhere",
        directory="/nowhere",
        dns_upstreams=(),
    )
    names = {"reviews.default.svc.cluster.local": ("10.0.0.1", "2001:db8::1")}
    return DnsServer(spec, lambda: names), asyncio.new_event_loop()


def _dns(data: bytes) -> None:
    server, loop = _resolver()
    for over_tcp in (False, True):
        loop.run_until_complete(server.resolve(data, over_tcp=over_tcp))


def _dns_seeds() -> Iterable[bytes]:
    for kind in ("A", "AAAA", "SRV", "ANY"):
        for name in ("reviews.default", "example.com", "1.0.0.10.in-addr.arpa"):
            yield dns.message.make_query(name, kind, use_edns=True).to_wire()


class _Wire:
    paused = False

    def write(self, data: bytes) -> None:
        """Nobody is there."""


class _Silent:
    def message(self, body: bytes) -> None: ...

    def ended(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self) -> None: ...


def _http2(data: bytes) -> None:
    """The first byte says how the others are cut."""

    def answer(_call: Call) -> _Silent:
        return _Silent()

    connection = Connection(_Wire(), {"/a.B/C": Method(answer, 1000)}, Caller())
    size = data[0] + 1 if data else 1
    for begin in range(1, len(data), size):
        connection.receive(data[begin : begin + size])


def _http2_seeds() -> Iterable[bytes]:
    greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4)
    headers = b"\x83\x86\x04\x06/a.B/C\x41\x04here"
    frame = len(headers).to_bytes(3, "big") + b"\x01\x04" + (1).to_bytes(4, "big") + headers
    body = b"\x00\x00\x00\x00\x03abc"
    message = len(body).to_bytes(3, "big") + b"\x00\x01" + (1).to_bytes(4, "big") + body
    yield b"\xff" + greeting
    yield b"\x07" + greeting + frame + message


@cache
def _published() -> Published:
    def named(name: str, *uses: str) -> dict[str, EnvoyResource]:
        return {name: EnvoyResource(name, "1", b"body", frozenset(uses))}

    return {
        CLUSTER: named("c"),
        ENDPOINTS: named("c"),
        LISTENER: named("l"),
        ROUTE: named("r", "c"),
    }


def _messages(data: bytes) -> Iterable[bytes]:
    """Several messages in one input: each has its length in front, in one byte."""
    while data:
        length = data[0]
        yield data[1 : 1 + length]
        data = data[1 + length :]


def _delta(data: bytes) -> None:
    stream = DeltaStream()
    stream.publish(_published())
    for message in _messages(data):
        stream.receive(DeltaDiscoveryRequest.FromString(message))
        while stream.poll() is not None:
            continue


def _sotw(data: bytes) -> None:
    stream = SotwStream()
    stream.publish(_published())
    for message in _messages(data):
        stream.receive(DiscoveryRequest.FromString(message))
        while stream.poll() is not None:
            continue


def _with_lengths(*messages: Message) -> bytes:
    bodies = [message.SerializeToString() for message in messages]
    return b"".join(bytes([len(body)]) + body for body in bodies)


def _delta_seeds() -> Iterable[bytes]:
    first = DeltaDiscoveryRequest(type_url=CLUSTER, initial_resource_versions={"c": "1"})
    more = DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=["c", "*"])
    answer = DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce="1")
    answer.error_detail.message = "no"
    yield _with_lengths(first, more, answer)


def _sotw_seeds() -> Iterable[bytes]:
    first = DiscoveryRequest(type_url=LISTENER, version_info="1")
    more = DiscoveryRequest(type_url=ROUTE, resource_names=["r"], response_nonce="1")
    yield _with_lengths(first, more, first)


def _node(data: bytes) -> None:
    proxy_of(Node.FromString(data))


def _node_seeds() -> Iterable[bytes]:
    node = Node(id="sidecar~10.0.0.1~a.default~default.svc.cluster.local")
    node.metadata.update(
        {
            "NAMESPACE": "default",
            "LABELS": {"app": "a"},
            "INTERCEPTION_MODE": "NONE",
            "CLEW_APP_PORTS": {"9080": 31000},
            "CLEW_LOCAL_PORTS": {"a:80": "127.0.0.1:31001"},
            "PROXY_CONFIG": {"concurrency": 2},
        }
    )
    yield node.SerializeToString()


def _names(data: bytes) -> None:
    NameTables().receive(DeltaDiscoveryResponse.FromString(data))


def _selector(data: bytes) -> None:
    selector(_text(data))({"app": "a"})


def _duration(data: bytes) -> None:
    Duration.parse(_text(data))


def _token_request(data: bytes) -> None:
    msgspec.json.decode(_text(data), type=ApiTokenRequest)


TARGETS: Mapping[str, Target] = {
    "yaml": Target(_yaml, _manifests),
    "mesh": Target(_mesh, _manifests),
    "mesh-config": Target(
        _settings, lambda: [b"defaultConfig: {concurrency: 2}\n", b"networks: {a: {}}\n"]
    ),
    "signing-request": Target(_request, _certificates, (RefusedRequest,)),
    "authority-files": Target(_plugged_in, _certificates, (UnusableAuthority,)),
    "spiffe-id": Target(
        _spiffe, lambda: [b"spiffe://cluster.local/ns/a/sa/b", b"spiffe://a"], (ValueError,)
    ),
    "json-web-keys": Target(
        _keys, lambda: [json.dumps({"keys": [{"kty": "RSA", "e": "AQAB", "n": "AQ"}]}).encode()]
    ),
    "openid-document": Target(
        keys_of, lambda: [b'{"jwks_uri": "https://a/keys"}'], (NotDiscovered,)
    ),
    "dns-query": Target(_dns, _dns_seeds),
    "http2": Target(_http2, _http2_seeds, (ProtocolError,)),
    "http-response": Target(
        decode_response,
        lambda: [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"],
        (ValueError,),
    ),
    "delta-requests": Target(_delta, _delta_seeds, (DecodeError,)),
    "sotw-requests": Target(_sotw, _sotw_seeds, (DecodeError,)),
    "node": Target(_node, _node_seeds, (DecodeError, ValueError, TypeError)),
    "name-table": Target(_names, lambda: [b""], (DecodeError,)),
    "label-selector": Target(
        _selector, lambda: [b"app=a,!b,c in (d, e),f notin (g)"], (BadRequest,)
    ),
    "duration": Target(_duration, lambda: [b"1h2m3.5s", b"-1ms"], (ValueError,)),
    "bearer-token": Target(lambda data: bearer_token(_text(data)), lambda: [b"Bearer a"]),
    "token-request": Target(
        _token_request,
        lambda: [b'{"role": "viewer", "name": "a", "seconds": 1}'],
        (msgspec.MsgspecError,),
    ),
}
