"""Calls of the traffic corpora: what each means in the echo world, and how it went.

A case is some configuration and calls under it; a call is from a workload, or from this machine
through the ingress gateway.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.corpora.echo.client import make_call
from tests.corpora.echo.expectations import Described, problems
from tests.corpora.echo.manifests import HEALTH_PORT, Port
from tests.corpora.echo.world import Call, Result, World

INGRESS = "ingress"
# What is expected to fail by a timeout is not waited for long; what must succeed gets its time.
_SHORT_SECONDS, _LONG_SECONDS = 0.5, 5.0
# Names reach the workloads' DNS, and endpoints their proxies' workers, a little later than acks.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 2.0, 0.1
_ROUNDS_TO_CLOSE = 5


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
            problem = "; ".join(problems(call, results))
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
