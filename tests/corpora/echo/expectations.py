"""What the traffic corpora expect of a call, and whether it went so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.corpora.echo.world import Result

Described = Mapping[str, Any]

GRPC_CODES = {
    name: number
    for number, name in enumerate(
        "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists "
        "PermissionDenied ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented "
        "Internal Unavailable DataLoss Unauthenticated".split()
    )
}


def problems(call: Described, results: Sequence[Result]) -> Iterator[str]:
    """Yield what is not as expected; ``results``: of its requests."""
    for expected in call["expect"]:
        for key, value in expected.items():
            problem = _problem(key, value, results)
            if problem:
                yield problem


def _problem(key: str, value: Any, results: Sequence[Result]) -> str:
    if key in _OVERALL:
        return _OVERALL[key](value, results)
    if key in _EACH:
        return next((p for p in (_EACH[key](value, result) for result in results) if p), "")
    return "" if key in _REMARKS else f"unknown expectation {key}"


def succeeded(result: Result) -> bool:
    """Source: the corpora's vocabulary: final status 200, success for TCP and gRPC."""
    if "error" in result:
        return False
    if "grpcStatus" in result:
        return bool(result["grpcStatus"] == 0 and result["echo"])
    if "status" in result:
        # Source: Istio's tests expect that a port for HTTP refuses HTTP/1.0.
        return result["status"] in (101, 200, 426)
    return bool(result.get("echo") or result.get("addresses"))


def _ok(value: bool, result: Result) -> str:
    return "" if succeeded(result) == value else f"expected ok={value}: {outcome(result)}"


def outcome(result: Result) -> str:
    if "error" in result:
        return str(result["error"])
    shown = {k: result[k] for k in ("status", "grpcStatus", "grpcMessage") if k in result}
    details = [v for n, v in result.get("headers", ()) if n == "x-envoy-response-code-details"]
    body = "" if result.get("echo") else str(result.get("body", ""))[:120]
    return " ".join([json.dumps(shown), *details, body]).strip()


def _status(value: int, result: Result) -> str:
    return "" if result.get("status") == value else f"expected {value}: {outcome(result)}"


def _error(value: bool, result: Result) -> str:
    return "" if ("error" in result) == value else f"expected error={value}: {outcome(result)}"


def _error_or_status(value: int, result: Result) -> str:
    return "" if "error" in result else _status(value, result)


def _forbidden(value: bool, result: Result) -> str:
    refused = "error" in result or result.get("status") == 403 or result.get("grpcStatus") == 7
    return "" if refused == value else f"expected forbidden={value}: {outcome(result)}"


def _mtls(value: bool, result: Result) -> str:
    echo = result.get("echo") or {}
    if "headers" not in echo or echo["tls"]:  # only proxies that see HTTP say whose it was
        return ""
    seen = _echoed_header(result, "X-Forwarded-Client-Cert") is not None
    return "" if seen == value else f"expected mtls={value}"


def _echoed_header(result: Result, name: str) -> str | None:
    headers = (result.get("echo") or {}).get("headers") or ()
    found = [value for key, value in headers if key == name.lower()]
    return ",".join(found) if found else None


def _fact(name: str, value: str, result: Result) -> str:
    seen = (result.get("echo") or {}).get(name)
    return "" if seen == value else f"expected upstream {name} {value!r}: {seen!r}"


def _request_header(value: Sequence[str], result: Result) -> str:
    name, wanted = value
    seen = _echoed_header(result, name) or ""
    return "" if seen == wanted else f"expected upstream header {name}: {wanted!r}: {seen!r}"


def _request_headers(value: Mapping[str, str], result: Result) -> str:
    return "; ".join(p for item in value.items() if (p := _request_header(item, result)))


def _response_headers(value: Mapping[str, str], result: Result) -> str:
    return "; ".join(p for item in value.items() if (p := _response_header(item, result)))


def _response_header(value: Sequence[str], result: Result) -> str:
    name, wanted = value
    found = [v for n, v in result.get("headers") or () if n.lower() == name.lower()]
    seen = ",".join(found)
    return "" if seen == wanted else f"expected response header {name}: {wanted!r}: {seen!r}"


def _grpc_status(value: str, result: Result) -> str:
    if result.get("grpcStatus") == GRPC_CODES[value]:
        return ""
    return f"expected gRPC {value}: {outcome(result)}"


def _body_contains(value: str, result: Result) -> str:
    return "" if value in result.get("body", "") else f"expected {value!r} in the body"


def _proxy_protocol(value: str, result: Result) -> str:
    seen = (result.get("echo") or {}).get("proxyProtocol", "")
    return "" if value in seen else f"expected PROXY protocol {value}: {seen!r}"


def _same_backend(value: bool, results: Sequence[Result]) -> str:
    seen = {(result.get("echo") or {}).get("hostname") for result in results}
    return "" if (len(seen) == 1) == value else f"expected same backend={value}: {seen}"


def _traffic_split(value: Sequence[int], results: Sequence[Result]) -> str:
    """Sent to the first, second … of the destinations, in the order of their names."""
    seen: dict[str, int] = {}
    for result in results:
        name = str((result.get("echo") or {}).get("hostname", "")).partition("-")[0]
        seen[name] = seen.get(name, 0) + 1
    shares = [100 * count / len(results) for _, count in sorted(seen.items())]
    close = len(shares) == len(value) and all(
        abs(share - wanted) <= 15 for share, wanted in zip(shares, value, strict=True)
    )
    return "" if close else f"expected shares {list(value)}: {seen}"


_OVERALL: dict[str, Callable[[Any, Sequence[Result]], str]] = {
    "same_backend_for_all_requests": _same_backend,
    "traffic_split_percent": _traffic_split,
}
_EACH: dict[str, Callable[[Any, Result], str]] = {
    "ok": _ok,
    "status": _status,
    "error": _error,
    "error_or_status": _error_or_status,
    "forbidden": _forbidden,
    "mtls": _mtls,
    "upstream_host": lambda value, result: _fact("host", value, result),
    "upstream_path": lambda value, result: _fact("path", value, result),
    "upstream_url": lambda value, result: _fact("path", value, result),
    "upstream_protocol": lambda value, result: _fact("protocol", value, result),
    "upstream_alpn": lambda value, result: _fact("alpn", value, result),
    "upstream_request_header": _request_header,
    "upstream_request_headers": _request_headers,
    "response_header": _response_header,
    "response_headers": _response_headers,
    "grpc_status": _grpc_status,
    "body_contains": _body_contains,
    "proxy_protocol": _proxy_protocol,
}
_REMARKS = ("implicit", "tolerance_percent")
