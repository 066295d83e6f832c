"""The names by which proxies are asked to tell of each request, and tell it."""

from __future__ import annotations

# A value of Envoy's runtime: the percent of requests that are told.
RUNTIME_KEY = "clew.tap"
# The names of the logs, by which they are known where they come in.
INBOUND, OUTBOUND = "clew_tap_inbound", "clew_tap_outbound"
# The names in the certificate of the client, which say what proxy it is of.
PEER_TAG, PEER_FORMAT = "clew.peer", "%DOWNSTREAM_PEER_DNS_SAN%"
# Source: W3C Trace Context.
TRACE_HEADER = "traceparent"
