"""How a client's proxy tells a server's which workload asks, for the server's metrics.

A header, added on the way to services of the mesh. The server takes it off again before the
application sees the request, and believes it only of clients that it knows by mTLS.
"""

from __future__ import annotations

from clew._pb.envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from clew._pb.envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import (
    Config as HeaderToMetadata,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.typed_config import typed_config
from clew.model.metrics import PEER_HEADER, PEER_VARIABLE

_NAMESPACE, _KEY = "clew", "peer"

# The value is in the proxy's environment, so that proxies of different workloads share routes.
PEER = HeaderValueOption(
    header=HeaderValue(key=PEER_HEADER, value=f"%ENVIRONMENT({PEER_VARIABLE})%"),
    append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
)

# For filter chains that end mTLS.
REMEMBER_PEER = hcm_pb2.HttpFilter(
    name="envoy.filters.http.header_to_metadata",
    typed_config=typed_config(
        HeaderToMetadata(
            request_rules=[
                HeaderToMetadata.Rule(
                    header=PEER_HEADER,
                    on_header_present=HeaderToMetadata.KeyValuePair(
                        metadata_namespace=_NAMESPACE, key=_KEY
                    ),
                )
            ]
        )
    ),
)

# What access loggers read it by.
REMEMBERED_PEER = f"%DYNAMIC_METADATA({_NAMESPACE}:{_KEY})%"
