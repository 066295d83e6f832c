"""Requests of the Gateway API's conformance tests: what each is as a call, and how it must go.

What is not known here is not evaluated: the reader of the verdicts counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.corpora.echo.expectations import GRPC_CODES, outcome
from tests.corpora.echo.world import Call, Result

Described = Mapping[str, Any]

_GRPC_SERVICE = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
# No request of these tests may take longer, so that a timeout there shows as a status.
_SECONDS = 5.0


class Unknown(Exception):
    """A case says something that is not known here."""


# What a request is


def http_call(request: Described, address: str, port: int, *, tls: bool) -> Call:
    """Return the call of an HTTP request; without a host it is for the address."""
    headers = [(n, v) for n, v in (request.get("headers") or {}).items() if n.lower() != "host"]
    named = {n.lower(): v for n, v in (request.get("headers") or {}).items()}
    host = named.get("host") or request.get("host") or address
    protocol = request.get("protocol") or ""
    if protocol not in ("", "HTTP", "HTTPS", "H2", "H2C_PRIOR_KNOWLEDGE"):
        raise Unknown(f"the protocol {protocol}")
    return {
        "scheme": "https" if tls else "http",
        "address": address,
        "port": port,
        "path": request.get("path") or "/",
        "method": request.get("method") or "GET",
        "headers": [("Host", host), *headers],
        "tls": tls,
        "server_name": request.get("sni") or host,
        "http2": protocol.startswith("H2"),
        "timeout": _SECONDS,
    }


def grpc_call(expected: Described, address: str, port: int) -> Call:
    """Return the call of a gRPC request; its method is named by the request's message."""
    message = next((key for key in expected if key.endswith("Request")), "")
    method = f"{message[:1].upper()}{message[1:].removesuffix('Request')}"
    if not method:
        raise Unknown("a gRPC request without a message")
    metadata = expected.get("requestMetadata") or {}
    host = metadata.get("authority") or address
    return {
        "scheme": "grpc",
        "address": address,
        "port": port,
        "path": f"{_GRPC_SERVICE}/{method}",
        "headers": [("Host", host), *(metadata.get("metadata") or {}).items()],
        "timeout": _SECONDS,
    }


def tcp_call(address: str, port: int, *, tls: bool, server_name: str) -> Call:
    """Return the call of a message over TCP, or over TLS."""
    return {
        "scheme": "tls" if tls else "tcp",
        "address": address,
        "port": port,
        "tls": tls,
        "server_name": server_name,
        "alpn": [],
        "timeout": _SECONDS,
    }


# Whether it went as it should


def http_problems(call: Call, expect: Described, result: Result) -> Iterator[str]:
    """Yield what of the response, and of what the backend saw, is not as expected."""
    unknown = expect.keys() - _HTTP.keys() - _ELSEWHERE
    if unknown:
        raise Unknown(f"to expect {', '.join(sorted(unknown))}")
    if result.get("status") not in expect["status"]:
        yield f"expected {expect['status']}: {outcome(result)}"
        return
    for key, check in _HTTP.items():
        if key in expect:
            yield from check(call, expect[key], result)
    if result["status"] == 200 and "path" not in (expect.get("upstream") or {}):
        yield from _upstream(call, {"path": call["path"]}, result)


def is_failure(result: Result) -> Iterator[str]:
    """Source: ``MakeRequestAndExpectFailure``: any status of an error, of HTTP or gRPC."""
    if "error" not in result and result["status"] < 400 and not result.get("grpcStatus"):
        yield f"expected a failure: {outcome(result)}"


def is_refused(result: Result) -> Iterator[str]:
    if "error" not in result:
        yield f"expected no connection: {outcome(result)}"


def grpc_problems(call: Call, expected: Described, result: Result) -> Iterator[str]:
    """Source: ``compareResponse`` of the gRPC tests, which reads no headers."""
    code = ((expected.get("response") or {}).get("code") or {"$sym": "codes.OK"})["$sym"]
    if result.get("grpcStatus") != GRPC_CODES[code.removeprefix("codes.")]:
        yield f"expected {code}: {outcome(result)}"
    elif code == "codes.OK":
        yield from _upstream(call, {"path": call["path"]}, result)
        yield from _backend(call, expected.get("backend") or "", result)
        yield from _namespace(call, expected.get("namespace") or "", result)


def tcp_problems(call: Call, expected: Described, result: Result) -> Iterator[str]:
    if not result.get("echo"):
        yield f"expected an echo: {outcome(result)}"
        return
    yield from _backend(call, expected.get("Backend") or "", result)
    yield from _namespace(call, expected.get("Namespace") or "", result)
    seen = result["echo"]["tls"], result["echo"]["sni"]
    wanted = bool(expected.get("BackendIsTLS")), expected.get("Hostname") or ""
    if seen != wanted:
        yield f"expected TLS to the backend and its name {wanted}: {seen}"


def _status(call: Call, value: Any, result: Result) -> Iterator[str]:
    yield from ()


def _backend(call: Call, value: str, result: Result) -> Iterator[str]:
    seen = str((result.get("echo") or {}).get("hostname"))
    if value and not seen.startswith(f"{value}-"):
        yield f"expected backend {value}: {seen}"


def _namespace(call: Call, value: str, result: Result) -> Iterator[str]:
    """A response that no backend made has no namespace to look at."""
    seen = (result.get("echo") or {}).get("namespace", value)
    if value and seen != value:
        yield f"expected a backend in {value}: {seen}"


def _upstream(call: Call, value: Described, result: Result) -> Iterator[str]:
    echo = result.get("echo") or {}
    unknown = value.keys() - {"path", "host", "sNI", "headers", "absentHeaders", "method"}
    if unknown:
        raise Unknown(f"to expect upstream {', '.join(sorted(unknown))}")
    for key in ("path", "host", "method"):
        if value.get(key) and echo.get(key) != value[key]:
            yield f"expected upstream {key} {value[key]}: {echo.get(key)}"
    if value.get("sNI") and echo.get("sni") != value["sNI"]:
        yield f"expected upstream SNI {value['sNI']}: {echo.get('sni')}"
    yield from _headers("upstream", value, echo.get("headers") or ())


def _response(call: Call, value: Described, result: Result) -> Iterator[str]:
    unknown = value.keys() - {"headers", "absentHeaders", "statusCode"}
    if unknown:
        raise Unknown(f"to expect of the response {', '.join(sorted(unknown))}")
    yield from _headers("response", value, result.get("headers") or ())


def _headers(whose: str, value: Described, headers: Any) -> Iterator[str]:
    seen: dict[str, list[str]] = {}
    for name, text in headers:
        seen.setdefault(name.lower(), []).append(text)
    for name, wanted in (value.get("headers") or {}).items():
        found = ",".join(seen.get(name.lower(), ()))
        if found != wanted and found.replace(", ", ",") != wanted.replace(", ", ","):
            yield f"expected {whose} header {name}: {wanted!r}: {found!r}"
    for name in value.get("absentHeaders") or ():
        if name.lower() in seen:
            yield f"expected no {whose} header {name}: {seen[name.lower()]}"


def _redirect(call: Call, value: Described, result: Result) -> Iterator[str]:
    """What is not said of the place stays as it was in the request."""
    location = {n.lower(): v for n, v in result["headers"]}.get("location", "")
    seen = urlsplit(location)
    own = dict(call["headers"])["Host"]
    wanted = {
        "scheme": value.get("scheme") or call["scheme"],
        "host": value.get("host") or own.partition(":")[0],
        "path": value.get("path") or call["path"],
    }
    unknown = value.keys() - wanted.keys() - {"port"}
    if unknown:
        raise Unknown(f"to expect of a redirect {', '.join(sorted(unknown))}")
    found = {
        "scheme": seen.scheme or call["scheme"],
        "host": seen.hostname or own.partition(":")[0],
        "path": seen.path,
    }
    if found != wanted or str(seen.port or "") != str(value.get("port") or ""):
        yield f"expected a redirect to {dict(value)}: {location}"


_HTTP: dict[str, Callable[[Call, Any, Result], Iterator[str]]] = {
    "status": _status,
    "backend": _backend,
    "backend_namespace": _namespace,
    "upstream": _upstream,
    "response": _response,
    "redirect": _redirect,
}
# Words of cases for people, and what only the backends that get no answer to send can tell.
_ELSEWHERE = {"testCaseName", "mirroredTo"}
