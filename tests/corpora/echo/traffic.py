"""Calls of the traffic corpora: what each means in the echo world, and whether it went as it says.

A case is some configuration and calls under it; a call is from a workload, or from this machine
through the ingress gateway.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.corpora.echo.client import make_call
from tests.corpora.echo.manifests import HEALTH_PORT, Port
from tests.corpora.echo.world import Call, Result, World

INGRESS = "ingress"
# What is expected to fail by a timeout is not waited for long; what must succeed gets its time.
_SHORT_SECONDS, _LONG_SECONDS = 0.5, 5.0
# Names reach the workloads' DNS, and endpoints their proxies' workers, a little later than acks.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 2.0, 0.1
_ROUNDS_TO_CLOSE = 5
GRPC_CODES = {
    name: number
    for number, name in enumerate(
        "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists "
        "PermissionDenied ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented "
        "Internal Unavailable DataLoss Unauthenticated".split()
    )
}

Described = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one call went; ``problem`` is "" if as it should. ``asked_again``: not at first."""

    case: str
    call: str
    problem: str
    asked_again: bool = False


def run_cases(
    world: World, ports: Sequence[Port], cases: Iterable[Described], namespace: str
) -> Iterator[Verdict]:
    """Run the portable cases; those with equal configuration together."""
    groups: dict[str, list[Described]] = {}
    for case in cases:
        groups.setdefault(case["config"] or "", []).append(case)
    for config, group in groups.items():
        with world.configured(config, namespace) as refused:
            yield from make_calls(world, ports, group, refused)


def make_calls(
    world: World, ports: Sequence[Port], group: Iterable[Described], refused: Sequence[str]
) -> Iterator[Verdict]:
    """Make all calls of these cases; ``refused``: what of their configuration was."""
    for verdict in _run(world, ports, group):
        yield _blamed(verdict, refused)


def _blamed(verdict: Verdict, refused: Sequence[str]) -> Verdict:
    if not verdict.problem or not refused:
        return verdict
    problem = f"{verdict.problem}; configuration refused: {'; '.join(refused)}"
    return Verdict(case=verdict.case, call=verdict.call, problem=problem)


def _run(world: World, ports: Sequence[Port], group: Iterable[Described]) -> Iterator[Verdict]:
    """Make all calls of the group at once; what goes wrong is asked again for a while."""
    waiting = [(case, call) for case in group for call in case["calls"]]
    deadline, again = time.monotonic() + _PATIENCE_SECONDS, False
    while waiting:
        failed = []
        late = time.monotonic() > deadline
        for (case, call), results in zip(waiting, _make(world, ports, waiting), strict=True):
            problem = "; ".join(_problems(call, results))
            if problem and not late:
                failed.append((case, call))
                continue
            name = f"{case['id']} {case['group']} {case['name']}"
            yield Verdict(case=name, call=_short(call), problem=problem, asked_again=again)
        waiting, again = failed, True
        if waiting:
            time.sleep(_PAUSE_SECONDS)


def _short(call: Described) -> str:
    target = call.get("port_name") or call.get("port") or call.get("scheme") or call["protocol"]
    return f"{call.get('name', '')} {call['from']}->{call['to']}:{target}".strip()


def _make(
    world: World, ports: Sequence[Port], waiting: Sequence[tuple[Described, Described]]
) -> list[list[Result]]:
    """Return the results of each call, which may be several requests."""
    found: dict[int, list[Result]] = {}
    for origin in dict.fromkeys(call["from"] for _, call in waiting):
        mine = [n for n, (_, call) in enumerate(waiting) if call["from"] == origin]
        requests = [translate(world, ports, waiting[n][1]) for n in mine]
        flat = [request for several in requests for request in several]
        results = iter(calls_from_here(flat) if origin == INGRESS else world.calls(origin, flat))
        for n, several in zip(mine, requests, strict=True):
            found[n] = [next(results) for _ in several]
    return [found[n] for n in range(len(waiting))]


def calls_from_here(calls: Iterable[Call]) -> list[Result]:
    """Make these calls from this machine, all at once."""

    async def all_of_them() -> list[Result]:
        results = await asyncio.gather(*map(make_call, calls))
        # Connections that ended without an answer are closed in the loop's next rounds.
        for _ in range(_ROUNDS_TO_CLOSE):
            await asyncio.sleep(0)
        return list(results)

    return asyncio.run(all_of_them())


# What a call of a corpus is


def translate(world: World, ports: Sequence[Port], call: Described) -> list[Call]:
    """Return the requests that a call of a corpus stands for."""
    port = _port(ports, call)
    scheme = _scheme(call, port)
    request: Call = {
        "scheme": scheme,
        "tls": scheme in ("https", "tls"),
        "path": call.get("path") or ("" if scheme == "grpc" else "/"),
        "method": call.get("method") or "GET",
        "headers": list(_headers(world, call)),
        "http2": bool(call.get("http2")),
        "message": call.get("message") or "",
        "server_first": bool(port and port.get("server_first")),
        "timeout": _timeout(call),
    }
    tls = call.get("tls") or {}
    if tls:
        request |= {"alpn": tls.get("Alpn", []), "server_name": tls.get("ServerName", "")}
    request["address"], request["port"] = _destination(world, call, port, scheme)
    return [request] * (call.get("count") or 1)


def _port(ports: Sequence[Port], call: Described) -> Port | None:
    named = (port for port in ports if port["name"] == call.get("port_name"))
    numbered = (port for port in ports if port["service_port"] == call.get("port", -1))
    return next(named, None) or next(numbered, None)


def _scheme(call: Described, port: Port | None) -> str:
    given = call.get("scheme") or call.get("protocol") or (port["protocol"] if port else "HTTP")
    return str(given).lower()


def _headers(world: World, call: Described) -> Iterator[tuple[str, str]]:
    for name, values in (call.get("headers") or {}).items():
        yield from ((name, filled_in(world, value)) for value in values)


def filled_in(world: World, text: str) -> str:
    return re.sub(r"\{ip:([^}]*)\}", lambda match: world.addresses[match[1]], text)


def _timeout(call: Described) -> float:
    match = re.fullmatch(r"([\d.]+)(ms|s)", call.get("timeout") or "")
    given = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else _LONG_SECONDS
    fails = any(expected.get("error") for expected in call["expect"])
    return min(max(given, _SHORT_SECONDS), 1.0) if fails else max(given, _LONG_SECONDS)


def _destination(world: World, call: Described, port: Port | None, scheme: str) -> tuple[str, int]:
    if call["from"] == INGRESS:
        return world.ingress(443 if scheme == "https" else 80)
    app = next(a for a in world.apps if call["to"] in (a.name, f"{a.namespace}/{a.name}"))
    own = world.addresses[call["to"]] if call.get("to_workload") else app.host
    address = filled_in(world, call.get("address") or own)
    if call.get("address") and port is not None and call.get("port") == port["service_port"]:
        address = world.virtual.get(address, address)
    if scheme == "dns":
        return address, 0
    if port is None:
        return address, call.get("port") or HEALTH_PORT
    return address, port["workload_port"] if app.headless else call.get("port") or _number(port)


def _number(port: Port) -> int:
    return int(port["service_port"] or port["workload_port"])


# Whether it went as it should


def _problems(call: Described, results: Sequence[Result]) -> Iterator[str]:
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
