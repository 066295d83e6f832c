"""Connections that the policies of workloads refuse, where no request says whose they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from clew.api.views import Trouble
from clew.model.proxy import Proxy
from clew.server.denials import connection_denier
from clew.server.traffic_reports import Reporter
from clew.snapshot.snapshot import MeshSnapshot


def denied_connections(
    found: Iterable[tuple[Reporter, int]], snapshot: MeshSnapshot
) -> Iterator[Trouble]:
    """One for each workload; ``found``: whose policies refused connections, and how many."""
    numbers = Counter[str]()
    proxies: dict[str, Proxy] = {}
    for reporter, number in found:
        workload = f"{reporter.own.peer.workload}.{reporter.own.peer.namespace}"
        numbers[workload] += number
        proxies[workload] = reporter.proxy
    for workload, number in sorted(numbers.items()):
        denier = connection_denier(snapshot, proxies[workload])
        if denier is not None:
            yield Trouble(
                severity="warning",
                problem=f"{workload} denied {number} connection{'s' * (number != 1)}: "
                f"{denier.says}",
                hint="Envoy does not count whose they were. Who may call it: clew authz matrix",
                object=denier.key,
                field=denier.field,
                proxy="" if denier.key else proxies[workload].node_id,
            )
