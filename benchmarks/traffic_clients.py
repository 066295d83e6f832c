"""``python -m benchmarks.traffic_clients FOLDER PROXIES EDGES``: agents that report without end.

FOLDER holds the control plane's socket and, for each proxy, a certificate (see
``benchmarks.streams``). Each proxy serves so many callers and calls as many, and reports all of
them every time.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import grpc
import msgspec

from clew.api.traffic_report import METHOD, REPORT_SECONDS, Counted, TrafficReport, durations_of
from clew.model.histogram import bin_of

NAMESPACE = "ns-0"


def report(proxy: int, edges: int, proxies: int, number: int) -> TrafficReport:
    """Some hundred requests of each caller, a few of which failed, in a spread of durations.

    And as many of its own, which the proxies that it calls count, too.
    """
    counted: list[Counted] = []
    for edge in range(1, edges + 1):
        caller, called = _workload((proxy + edge) % proxies), (proxy - edge) % proxies
        served = f"destination~{caller}~{_host(proxy)};svc-{proxy};{NAMESPACE}"
        counted.append(_requests(served))
        counted.append(_requests(f"source~{_workload(called)}~outbound|80||{_host(called)};"))
    return TrafficReport(agent=proxy, number=number, seconds=2.0, counted=tuple(counted))


def _host(number: int) -> str:
    return f"svc-{number}.{NAMESPACE}.svc.cluster.local"


def _workload(number: int) -> str:
    return f"svc-{number}-v1;{NAMESPACE};svc-{number};v1;Kubernetes"


def _requests(between: str) -> Counted:
    principal = f"spiffe://cluster.local/ns/{NAMESPACE}/sa/default"
    requests = {200: 100, 503: 3}
    number = sum(requests.values())
    bins = Counter(bin_of(random.lognormvariate(2.5, 0.8)) for _ in range(number))
    return Counted(
        tag=f"{between}~~-~~{principal}",
        requests=requests,
        durations=durations_of(bins),
        request_bytes=300 * number,
        response_bytes=5000 * number,
    )


async def main(folder: Path, proxies: int, edges: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for proxy in range(proxies):
            tasks.create_task(_agent(folder, proxy, edges, proxies))


async def _agent(folder: Path, proxy: int, edges: int, proxies: int) -> None:
    pem = (folder / f"proxy-{proxy}.{NAMESPACE}.pem").read_bytes()
    root = (folder / "root.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(root, pem, pem)
    options = [
        ("grpc.ssl_target_name_override", "istiod.istio-system.svc"),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.http2.bdp_probe", 0),
    ]
    await asyncio.sleep(random.uniform(0, 2))
    async with grpc.aio.secure_channel(f"unix:{folder}/xds.sock", credentials, options) as channel:
        call = channel.stream_unary(METHOD)()
        for number in count(1):
            await call.write(msgspec.msgpack.encode(report(proxy, edges, proxies, number)))
            await asyncio.sleep(REPORT_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
