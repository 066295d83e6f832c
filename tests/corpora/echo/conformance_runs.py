"""Runs the cases of the Gateway API's conformance tests in their world."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.corpora.echo.conformance import (
    Unknown,
    grpc_call,
    grpc_problems,
    http_call,
    http_problems,
    is_failure,
    is_refused,
    tcp_call,
    tcp_problems,
)
from tests.corpora.echo.conformance_world import ConformanceWorld, NotReady
from tests.corpora.echo.server import TARGETS
from tests.corpora.echo.traffic import calls_from_here
from tests.corpora.echo.world import Call, Result, World

Case = Mapping[str, Any]
Make = Callable[[Sequence[Call]], list[Result]]

_PATIENCE_SECONDS, _PAUSE_SECONDS = 3.0, 0.05
# A case may have any shape: who reads the verdicts sees which are not understood.
_NOT_UNDERSTOOD = (Unknown, LookupError, TypeError, AttributeError)
_MESH, _CLIENT = "gateway-conformance-mesh", "echo"
# Source: the distribution may be off by this share, of this many requests.
_TOLERANCE, _REQUESTS = 0.05, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one request went; ``problem`` is "" if as it should, or if ``not_evaluated``."""

    case: str
    subtest: str
    problem: str = ""
    not_evaluated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One request of a case: the call that it is, and what is wrong with a result."""

    request: Case
    call: Call
    problems: Callable[[Result], Iterator[str]]
    make: Make


def run_gateway_case(world: ConformanceWorld, case: Case) -> Iterator[Verdict]:
    """Make the requests of a case at its Gateways."""
    manifests = list(case["manifests"].values())
    named = dict.fromkeys(str(r.get("gateway")).partition("#")[0] for r in case["requests"])
    gateways = [each for each in named if world.listeners(manifests, each)]
    if not gateways:
        for each in (*case["requests"], *case["other_assertions"]):
            yield _verdict(case, each, not_evaluated=each["assert"])
        return
    yield from _run(world, case, gateways, lambda request: _at_gateway(world, manifests, request))


def run_mesh_case(world: ConformanceWorld, case: Case) -> Iterator[Verdict]:
    """Make the requests of a case from its workloads."""
    manifests = list(case["manifests"].values())
    yield from _run(
        world, case, (), lambda request: _in_mesh(world, _with_true_path(request, manifests))
    )


def _run(
    world: ConformanceWorld,
    case: Case,
    gateways: Sequence[str],
    understand: Callable[[Case], _Asked],
) -> Iterator[Verdict]:
    try:
        with world.configured(case["manifests"].values(), gateways) as refused:
            ready: list[_Asked] = []
            for request in case["requests"]:
                try:
                    ready.append(understand(request))
                except _NOT_UNDERSTOOD as unknown:
                    yield _verdict(case, request, not_evaluated=repr(unknown))
            yield from _ask(case, ready, refused)
            for assertion in case["other_assertions"]:
                yield _other(world, case, assertion, ready)
    except NotReady as problem:
        for request in case["requests"]:
            yield _verdict(case, request, problem=str(problem))


def _verdict(case: Case, asked: Case, *, problem: str = "", not_evaluated: str = "") -> Verdict:
    name, subtest = f"{case['id']} {case['name']}", str(asked.get("subtest"))
    return Verdict(case=name, subtest=subtest, problem=problem, not_evaluated=not_evaluated)


def _ask(case: Case, waiting: list[_Asked], refused: list[str]) -> Iterator[Verdict]:
    """Make the requests; what goes wrong is asked again for a while, as by conformance tests."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while waiting:
        late, failed = time.monotonic() > deadline, []
        for asked, result in zip(waiting, _results(waiting), strict=True):
            try:
                problem = "; ".join([*asked.problems(result)])
            except _NOT_UNDERSTOOD as unknown:
                yield _verdict(case, asked.request, not_evaluated=repr(unknown))
                continue
            if problem and not late:
                failed.append(asked)
                continue
            why = f"; refused: {'; '.join(refused)}" if problem and refused else ""
            yield _verdict(case, asked.request, problem=problem + why)
        waiting = failed
        if waiting:
            time.sleep(_PAUSE_SECONDS)


def _results(waiting: Sequence[_Asked]) -> list[Result]:
    """Return the results in order; what one client asks is asked at once."""
    found: dict[int, Result] = {}
    for make in dict.fromkeys(asked.make for asked in waiting):
        mine = [n for n, asked in enumerate(waiting) if asked.make == make]
        found.update(zip(mine, make([waiting[n].call for n in mine]), strict=True))
    return [found[n] for n in range(len(waiting))]


# A request at a gateway


def _at_gateway(world: ConformanceWorld, manifests: list[str], request: Case) -> _Asked:
    gateway, _, names = request["gateway"].partition("#")
    listeners = world.listeners(manifests, gateway)
    if names:
        listeners = [each for each in listeners if each["name"] in names.split("+")]
    elif "tls" in request:
        wanted = "HTTPS" if request["tls"] else "HTTP"
        listeners = [each for each in listeners if each["protocol"] == wanted] or listeners
    if not listeners:
        raise Unknown(f"a listener of {request['gateway']}")
    address, port = world.place(gateway, listeners[0]["port"])
    call, problems = _call(request, address, port)
    return _Asked(request=request, call=call, problems=problems, make=calls_from_here)


def _call(request: Case, address: str, port: int) -> tuple[Call, Callable[[Result], Iterator[str]]]:
    """Return the call of a request by the name of its assertion, and the check of its result."""
    name = request["assert"]
    fails = name.endswith("Failure")
    if "request" in request:
        call = http_call(request["request"], address, port, tls=request["tls"])
        return call, is_failure if fails else _http_check(call, request["expect"])
    if "expected" in request:
        call, expected = grpc_call(request["expected"], address, port), request["expected"]
        return call, is_failure if fails else lambda result: grpc_problems(call, expected, result)
    if name.endswith("ConnectionRejection"):
        return tcp_call(address, port, tls=True, server_name=request["args"][1]), is_refused
    if name == "tcp.MakeTCPRequestAndExpectEventuallyValidResponse":
        _, _, server_name, tls, wanted = request["args"]
        call = tcp_call(address, port, tls=tls, server_name=server_name)
        return call, lambda result: tcp_problems(call, wanted, result)
    raise Unknown(name)


def _http_check(call: Call, expect: Case) -> Callable[[Result], Iterator[str]]:
    return lambda result: http_problems(call, expect, result)


# A request from a workload


def _with_true_path(request: Case, manifests: list[str]) -> Case:
    """Return the request without another path for its backend, where nothing could change it.

    Source: ``compareRequest`` looks at no path, so that nobody notices one that a case names.
    """
    if any("URLRewrite" in text for text in manifests):
        return request
    expect = {**request["expect"]}
    expect["upstream"] = {k: v for k, v in expect.get("upstream", {}).items() if k != "path"}
    return {**request, "expect": expect}


def _in_mesh(world: ConformanceWorld, request: Case) -> _Asked:
    """``client``: labels of a workload, and its namespace. Source: without a host it is echo."""
    labels, _, namespace = request["client"].partition("@")
    pairs = dict(each.split("=") for each in labels.split(","))
    workload = f"{namespace or _MESH}/{pairs['app']}-{pairs['version']}"
    if workload not in world.mesh.pods:
        raise Unknown(f"the client {request['client']}")
    host = request["request"].get("host") or _CLIENT
    call = http_call({**request["request"], "host": host}, host.partition(":")[0], 80, tls=False)
    make = _From(world.mesh, workload)
    check = _http_check(call, request["expect"])
    return _Asked(request=request, call=call, problems=check, make=make)


@dataclass(frozen=True, slots=True, eq=False)
class _From:
    """Makes calls from a workload."""

    mesh: World
    workload: str

    def __call__(self, calls: Sequence[Call]) -> list[Result]:
        return self.mesh.calls(self.workload, calls)


# What a case says beside its requests


def _other(world: ConformanceWorld, case: Case, assertion: Case, ready: list[_Asked]) -> Verdict:
    name, subtest = assertion["assert"], assertion.get("subtest")
    asked = next((each for each in ready if each.request.get("subtest") == subtest), None)
    if name not in _OTHERS or asked is None:
        return _verdict(case, assertion, not_evaluated=name)
    try:
        problem = _OTHERS[name](world, asked, assertion["args"])
    except _NOT_UNDERSTOOD as unknown:
        return _verdict(case, assertion, not_evaluated=repr(unknown))
    return _verdict(case, assertion, problem=problem)


def _distribution(world: ConformanceWorld, asked: _Asked, args: list[Any]) -> str:
    results = [r for _ in range(_REQUESTS // 50) for r in asked.make([asked.call] * 50)]
    seen = Counter(
        str((result.get("echo") or {}).get("hostname")).rsplit("-", 2)[0] for result in results
    )
    shares = {name: seen[name] / len(results) for name in {*args[1], *seen}}
    close = all(abs(shares[n] - args[1].get(n, 0)) <= _TOLERANCE for n in shares)
    return "" if close and all(args[1].get(n) for n in seen) else f"expected {args[1]}: {shares}"


def _mirrored(world: ConformanceWorld, asked: _Asked, args: list[Any]) -> str:
    """A mirrored request comes to its backend whenever it likes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    missing = [each["BackendRef"] for each in args[0]]
    while missing and time.monotonic() < deadline:
        missing = [each for each in missing if args[1] not in _targets(world, each)]
        if missing:
            time.sleep(_PAUSE_SECONDS)
    return f"expected mirrored requests at {missing}" if missing else ""


def _targets(world: ConformanceWorld, backend: Case) -> list[str]:
    pods = world.pods(backend["Namespace"], backend["Name"])
    calls = [http_call({"path": TARGETS}, address, 3000, tls=False) for address in pods]
    return [t for r in calls_from_here(calls) for t in json.loads(r.get("body") or "[]")]


_OTHERS: dict[str, Callable[[ConformanceWorld, _Asked, list[Any]], str]] = {
    "weight.TestWeightedDistribution": _distribution,
    "http.ExpectMirroredRequest": _mirrored,
}
