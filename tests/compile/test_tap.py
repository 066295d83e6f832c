"""Connected proxies can be asked to tell of each request, and their listeners stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from google.protobuf.message import Message

from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy, compile_published
from clew.model.xds import LISTENER, Published
from clew.snapshot.scope import ProxyScope
from tests.compile.scopes import as_json, outbound, service, sidecar
from tests.envoy.validate import validate


def scope(*, tapped: bool) -> ProxyScope:
    found = sidecar(outbound(service("reviews")))
    return replace(found, proxy=replace(found.proxy, tapped=tapped))


def loggers(found: Published) -> list[str]:
    names: list[str] = []
    for each in found[LISTENER].values():
        for chain in Listener.FromString(each.body).filter_chains:
            for one in chain.filters:
                manager: Message = hcm_pb2.HttpConnectionManager()
                if one.typed_config.Unpack(manager):
                    assert isinstance(manager, hcm_pb2.HttpConnectionManager)
                    names += [log.name for log in manager.access_log]
    return names


def test_the_logger_is_off_and_only_in_what_connected_proxies_get() -> None:
    memo = Memo()
    asked = loggers(compile_published(scope(tapped=True), memo))
    assert set(asked) == {"envoy.access_loggers.http_grpc"}
    assert loggers(compile_published(scope(tapped=False), memo)) == []
    assert loggers(compile_proxy(scope(tapped=True), memo)) == []


def test_envoy_takes_it(tmp_path: Path) -> None:
    found = compile_published(scope(tapped=True), Memo())
    known = {
        kind: found[kind] for kind in found if kind in compile_proxy(scope(tapped=True), Memo())
    }
    assert validate(as_json(known), tmp_path) == ""
