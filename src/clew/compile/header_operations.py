"""A VirtualService's ``headers``: what is set, added and removed on the way."""

from __future__ import annotations

from collections.abc import Iterator

from clew._pb.envoy.config.core.v3.base_pb2 import HeaderValueOption
from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    Route,
    VirtualHost,
    WeightedCluster,
)
from clew.model.virtual_service import HeaderOperations, Headers

_HOST = frozenset({"host", ":authority"})


def apply_headers(
    target: Route | VirtualHost | WeightedCluster.ClusterWeight, headers: Headers | None
) -> None:
    """Write the operations into ``target``, which the caller has just built."""
    if headers is None:
        return
    if (request := headers.request) is not None:
        target.request_headers_to_add.extend(_added(request))
        target.request_headers_to_remove.extend(request.remove)
    if (response := headers.response) is not None:
        target.response_headers_to_add.extend(_added(response))
        target.response_headers_to_remove.extend(response.remove)


def host_of(headers: Headers | None) -> str:
    """Return the host that a ``set`` or ``add`` of ``host`` asks for, which Envoy rewrites."""
    if headers is None or headers.request is None:
        return ""
    operations = {**headers.request.add, **headers.request.set}
    return next((value for name, value in operations.items() if name.lower() in _HOST), "")


def _added(operations: HeaderOperations) -> Iterator[HeaderValueOption]:
    actions = (
        (operations.set, HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD),
        (operations.add, HeaderValueOption.APPEND_IF_EXISTS_OR_ADD),
    )
    for values, action in actions:
        for name, value in sorted(values.items()):
            if name.lower() not in _HOST:
                option = HeaderValueOption(append_action=action)
                option.header.key, option.header.value = name, value
                yield option
