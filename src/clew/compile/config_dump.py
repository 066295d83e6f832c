"""Published resources as Envoy's own ``/config_dump`` prints them."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.model.xds import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTE, Published, TypeUrl

_TYPES: tuple[tuple[str, TypeUrl, type[Message]], ...] = (
    ("listeners", LISTENER, Listener),
    ("routes", ROUTE, RouteConfiguration),
    ("clusters", CLUSTER, Cluster),
    ("endpoints", ENDPOINTS, ClusterLoadAssignment),
    ("extensions", EXTENSION, TypedExtensionConfig),
)


def config_dump(published: Published) -> dict[str, list[dict[str, Any]]]:
    """The resources by type, each in proto-JSON with the fields' proto names, sorted by name.

    ``extensions`` is there only if there are some.

    Types inside an ``Any`` are known because whoever compiled them has loaded them.
    """
    return {
        title: [
            _plain(MessageToDict(message.FromString(each.body), preserving_proto_field_name=True))
            for _, each in sorted(published.get(type_url, {}).items())
        ]
        for title, type_url, message in _TYPES
        if type_url != EXTENSION or published.get(type_url)
    }


def _plain(value: Any) -> Any:
    """The same of built-in types only, and in one order: protobuf's maps come in any."""
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value, key=_order)}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _order(key: str) -> tuple[bool, bool, str]:
    return key != "@type", key != "name", key
