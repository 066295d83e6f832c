"""Envoy's own messages, as people write them in the value of a patch."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pool, empty_pb2, message_factory, struct_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from clew.model.envoy_filter import ApplyTo

# Registered by being imported; an Any may hold them.
assert empty_pb2
assert struct_pb2
assert wrappers_pb2

PREFIX = "type.googleapis.com/"
TYPED_STRUCTS = frozenset({"xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"})

# What a patch's value is, by what it applies to.
PATCHED: Mapping[ApplyTo, str] = {
    ApplyTo.LISTENER: "envoy.config.listener.v3.Listener",
    ApplyTo.FILTER_CHAIN: "envoy.config.listener.v3.FilterChain",
    ApplyTo.NETWORK_FILTER: "envoy.config.listener.v3.Filter",
    ApplyTo.LISTENER_FILTER: "envoy.config.listener.v3.ListenerFilter",
    ApplyTo.HTTP_FILTER: ("envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"),
    ApplyTo.ROUTE_CONFIGURATION: "envoy.config.route.v3.RouteConfiguration",
    ApplyTo.VIRTUAL_HOST: "envoy.config.route.v3.VirtualHost",
    ApplyTo.HTTP_ROUTE: "envoy.config.route.v3.Route",
    ApplyTo.CLUSTER: "envoy.config.cluster.v3.Cluster",
    ApplyTo.EXTENSION_CONFIG: "envoy.config.core.v3.TypedExtensionConfig",
    ApplyTo.BOOTSTRAP: "envoy.config.bootstrap.v3.Bootstrap",
}

_PACKAGE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
# Declared in Envoy's schema, but not built into the Envoy that clew runs.
_NOT_BUILT = (
    "envoy.extensions.network.dns_resolver.apple.",
    "envoy.extensions.transport_sockets.tls.cert_validator.dynamic_modules.",
)
# Istio's own extensions, which only its own build of Envoy has, and Envoy's contrib extensions.
_ELSEWHERE = (
    "stats.",
    "istio.",
    "io.istio.",
    "envoy.tcp.metadataexchange.",
    "envoy.extensions.network_filters.peer_metadata.",
    "envoy.extensions.filters.http.dynamo.",
    "envoy.extensions.filters.http.squash.",
    "envoy.extensions.filters.network.client_ssl_auth.",
    "envoy.extensions.filters.network.kafka_broker.",
    "envoy.extensions.filters.network.mysql_proxy.",
    "envoy.extensions.filters.network.rocketmq_proxy.",
)
_CONTRIB = ".v3alpha."


def find_message(full_name: str) -> type[Message] | None:
    """The class of the message with this full name, or None."""
    found = describe_message(full_name)
    return None if found is None else message_factory.GetMessageClass(found)


def describe_message(full_name: str) -> Descriptor | None:
    """The fields of the message with this full name, or None if there is none."""
    _load(full_name.rpartition(".")[0])
    try:
        return descriptor_pool.Default().FindMessageTypeByName(full_name)
    except KeyError:
        return None


@cache
def _load(package: str) -> None:
    """Register a package's messages. There are thousands in all, of which few are ever used."""
    if _PACKAGE.fullmatch(package):
        for _ in _modules(package):
            pass


def _modules(package: str) -> Iterator[ModuleType]:
    """Import the modules that declare a package's messages, one by one; none if there are none."""
    try:
        module = import_module(f"clew._pb.{package}")
    except ImportError:
        return
    for found in pkgutil.iter_modules(module.__path__):
        if found.name.endswith("_pb2"):
            yield import_module(f"{module.__name__}.{found.name}")


def names_beside(full_name: str) -> list[str]:
    """The names of messages that may have been meant by one that does not exist."""
    package, _, _ = full_name.rpartition(".")
    if _PACKAGE.fullmatch(package) is None:
        return []
    parent, _, version = package.rpartition(".")
    family, _, _ = parent.rpartition(".")
    try:
        module = import_module(f"clew._pb.{family}")
    except ImportError:
        return []
    packages = [
        f"{family}.{found.name}.{version}" for found in pkgutil.iter_modules(module.__path__)
    ]
    return [name for each in {package, *packages} for name in _messages_of(each)]


def _messages_of(package: str) -> Iterator[str]:
    for module in _modules(package):
        yield from (f"{package}.{name}" for name in module.DESCRIPTOR.message_types_by_name)


def is_elsewhere(full_name: str) -> bool:
    """Whether a message belongs to an extension that other builds of Envoy have, but not this."""
    foreign = full_name.startswith((*_ELSEWHERE, *_NOT_BUILT))
    return foreign or _CONTRIB in full_name


def packed_types(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, str]]:
    """Yield (path, full name) of the type of every Any inside a value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "@type" and isinstance(inner, str):
                yield (*path, key), inner.rpartition("/")[2]
                continue
            if key in ("type_url", "typeUrl") and isinstance(inner, str) and "@type" in value:
                yield (*path, key), inner.rpartition("/")[2]
                continue
            yield from packed_types(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from packed_types(inner, (*path, index))


def missing_extension(value: Any) -> str:
    """The full name of the first type in a value that Envoy does not have, "" if it has all."""
    return next((name for _, name in packed_types(value) if not has_type(name)), "")


def has_type(full_name: str) -> bool:
    return not is_elsewhere(full_name) and find_message(full_name) is not None


def read_message(value: Mapping[str, Any], full_name: str) -> Message:
    """The message that ``value`` stands for in protobuf's JSON; unknown fields are left out.

    Raises:
        ParseError: a type is unknown, or a value is of the wrong type.
    """
    kind = find_message(full_name)
    if kind is None:
        raise ParseError(f"there is no message {full_name}")
    for _, name in packed_types(value):
        if find_message(name) is None:
            raise ParseError(f"there is no message {name}")
    return ParseDict(dict(value), kind(), ignore_unknown_fields=True)
