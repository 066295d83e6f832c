"""Answers that say why a request was denied, for people who run a mesh on their own machine.

Elsewhere only logs say so: what policies there are is nothing for strangers.
"""

from __future__ import annotations

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLogFilter,
    ComparisonFilter,
    OrFilter,
)
from clew._pb.envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)

# ``rbac_access_denied_matched_policy[ns[shop]-policy[reviews]-rule[0]]``, and so on.
REASON_HEADER = "x-clew-denied-by"
_DENIALS = (401, 403)


def explain_denials(manager: hcm_pb2.HttpConnectionManager) -> None:
    """Let Envoy's own refusals name the filter and the rule. Those of programs stay as they are."""
    reason = HeaderValueOption(
        header=HeaderValue(key=REASON_HEADER, value="%RESPONSE_CODE_DETAILS%"),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    denied = AccessLogFilter(or_filter=OrFilter(filters=map(_is, _DENIALS)))
    mapper = hcm_pb2.ResponseMapper(filter=denied, headers_to_add=[reason])
    manager.local_reply_config.mappers.append(mapper)


def _is(status: int) -> AccessLogFilter:
    found = AccessLogFilter()
    found.status_code_filter.comparison.op = ComparisonFilter.EQ
    found.status_code_filter.comparison.value.default_value = status
    # Envoy insists on a key, by which the value could be changed.
    found.status_code_filter.comparison.value.runtime_key = f"clew.denied_{status}"
    return found
