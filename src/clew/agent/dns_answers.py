"""What the workload's DNS server answers: names of the mesh, and nothing about others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from clew.model.addresses import is_ip

# Host name (no trailing dot, lower case; may begin with "*.") -> addresses, or the one host name
# that it is another name of.
Names = Mapping[str, tuple[str, ...]]

# Source: Istio's DNS proxy.
TTL_SECONDS = 30
_SHORTEST_UDP_PAYLOAD = 512
_LONGEST_UDP_PAYLOAD = 4096
_LONGEST_CHAIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the asking workload is: it decides what short names mean."""

    namespace: str
    domain: str  # the mesh's, e.g. cluster.local

    def candidates(self, name: str) -> Iterator[str]:
        """Yield what ``name`` may stand for, itself first.

        Source: a pod's search list: <namespace>.svc.<domain>, svc.<domain>, <domain>.
        """
        yield name
        for domain in (f"{self.namespace}.svc.{self.domain}", f"svc.{self.domain}", self.domain):
            yield f"{name}.{domain}"

    def owns(self, name: str) -> bool:
        """Whether ``name`` can exist in the mesh only, so that no resolver outside is asked."""
        return name.endswith(f".svc.{self.domain}")


def find_addresses(name: str, names: Names, place: Place) -> tuple[str, ...] | None:
    """Return the addresses of a host (none for a host without), None for a host not in the mesh."""
    for candidate in place.candidates(name):
        if candidate in names:
            return names[candidate]
    parent = name
    while "." in parent:
        parent = parent.partition(".")[2]
        if f"*.{parent}" in names:
            return names[f"*.{parent}"]
    return None


def canonical_name(query: dns.message.Message, names: Names, place: Place) -> str:
    """Return the host that the asked name is another name of, "" for what is no such name.

    Source: Kubernetes: a Service of type ExternalName is a CNAME record.
    """
    name = _asked(query)
    for _ in range(_LONGEST_CHAIN):
        found = find_addresses(name, names, place)
        if not found or is_ip(found[0]):
            return "" if name == _asked(query) else name
        name = found[0].lower().rstrip(".")
    return ""  # in a circle


def ask_for(host: str, query: dns.message.Message) -> dns.message.Message:
    """Return the same question about another host."""
    return dns.message.make_query(host, query.question[0].rdtype)


def answer_by_alias(
    query: dns.message.Message, host: str, found: dns.message.Message
) -> dns.message.Message:
    """Return the response to ``query``, whose name stands for ``host``, given that of ``host``."""
    response = failure(query, found.rcode())
    asked, canonical = query.question[0].name, dns.name.from_text(host).to_text()
    alias = dns.rrset.from_text(asked, TTL_SECONDS, dns.rdataclass.IN, "CNAME", canonical)
    response.answer += [alias, *found.answer]
    return response


def _asked(query: dns.message.Message) -> str:
    return query.question[0].name.to_text(omit_final_dot=True).lower()


def answer(query: dns.message.Message, names: Names, place: Place) -> dns.message.Message | None:
    """Return the response, None when the question is for a resolver outside the mesh.

    A host of the mesh has A and AAAA records only; other types exist and are empty (NODATA),
    because a NXDOMAIN for one type makes some resolvers forget the host altogether.
    """
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        return failure(query, dns.rcode.NOTIMP)
    question = query.question[0]
    name = _asked(query)
    addresses = find_addresses(name, names, place)
    if addresses is None:
        return failure(query, dns.rcode.NXDOMAIN) if place.owns(name) else None
    response = _response(query)
    records = records_of_type(addresses, question.rdtype)
    if records:
        turn = query.id % len(records)
        response.answer.append(
            dns.rrset.from_text_list(
                question.name,
                TTL_SECONDS,
                dns.rdataclass.IN,
                question.rdtype,
                [*records[turn:], *records[:turn]],
            )
        )
    return response


def records_of_type(
    addresses: tuple[str, ...], record_type: dns.rdatatype.RdataType
) -> tuple[str, ...]:
    versions = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}
    wanted = versions.get(record_type)
    return tuple(a for a in addresses if is_ip(a) and ipaddress.ip_address(a).version == wanted)


def failure(query: dns.message.Message, code: dns.rcode.Rcode) -> dns.message.Message:
    response = _response(query)
    response.set_rcode(code)
    return response


def _response(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    response.flags |= dns.flags.AA
    return response


def encode_udp(response: dns.message.Message, query: dns.message.Message) -> bytes:
    """Return the response as far as the asker can take it; what is left out is said (TC)."""
    limit = min(max(query.payload, _SHORTEST_UDP_PAYLOAD), _LONGEST_UDP_PAYLOAD)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        short = _response(query)
        short.flags |= dns.flags.TC
        return short.to_wire()
