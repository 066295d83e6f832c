"""What clusters need to know of the endpoints of a service port, and nothing else of them.

Endpoints come and go all the time. Clusters must not change with them, since Envoy then drops the
cluster's connections; so clusters are compiled from these facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from clew.model import names
from clew.model.service import Endpoint


class Coverage(Enum):
    """How many of the endpoints accept mesh mTLS. ALL: none of them refuses it."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """``identities``: the SPIFFE ids under which the endpoints may answer."""

    coverage: Coverage
    identities: frozenset[str]


def endpoints_of_port(endpoints: Sequence[Endpoint], port_name: str) -> tuple[Endpoint, ...]:
    """Of all endpoints of a service, those of one port."""
    return tuple(e for e in endpoints if e.port_name == port_name)


def endpoint_facts(endpoints: Sequence[Endpoint], trust_domain: str) -> EndpointFacts:
    """The facts of the endpoints of one port."""
    accepting = sum(endpoint.mutual_tls for endpoint in endpoints)
    coverage = Coverage.SOME if accepting else Coverage.NONE
    if accepting == len(endpoints):
        coverage = Coverage.ALL
    workloads = {e.workload for e in endpoints if e.mutual_tls and e.workload.service_account}
    return EndpointFacts(
        coverage,
        frozenset(names.spiffe_id(trust_domain, w.namespace, w.service_account) for w in workloads),
    )
