"""Envoy's response flags, and its details of responses of its own, in words.

Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
and https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Cause(Enum):
    """Which object may be to blame."""

    ROUTE = "the VirtualService that the request's route is from"
    UPSTREAM = "the DestinationRule of the cluster"
    DENIAL = "the AuthorizationPolicy that denied it, or those that did not allow it"
    AUTHORIZER = "the AuthorizationPolicy with action CUSTOM"
    TOKEN = "the RequestAuthentication"


@dataclass(frozen=True, slots=True)
class Meaning:
    """``says``: of the request, after "it"; ``hint``: what to do, "" if there is nothing to do."""

    says: str
    hint: str = ""
    causes: tuple[Cause, ...] = ()

    @property
    def says_of_several(self) -> str:
        """The same of more than one request."""
        verb, _, rest = self.says.partition(" ")
        return f"{_PLURALS.get(verb, verb)} {rest}"


_PLURALS = {"was": "were", "has": "have"}


FLAGS: Mapping[str, Meaning] = {
    "UH": Meaning(
        "found no healthy endpoint",
        "see whether the workload is ready: clew ps; outlierDetection may have ejected it",
        (Cause.UPSTREAM,),
    ),
    "UF": Meaning(
        "could not be sent: the connection to the endpoint failed",
        "the workload does not listen, or the two sides do not agree on TLS: see its "
        "DestinationRule and PeerAuthentication",
        (Cause.UPSTREAM,),
    ),
    "UC": Meaning(
        "was cut off: the other side closed the connection before there was an answer",
        "see whether it was killed or started again, or closes idle connections too early",
        (Cause.UPSTREAM,),
    ),
    "UO": Meaning(
        "was refused at once: the limits of the connection pool were reached (circuit breaking)",
        "raise connectionPool of the DestinationRule, or add replicas",
        (Cause.UPSTREAM,),
    ),
    "UT": Meaning(
        "was not answered within the timeout of the route",
        "see that timeout, and what takes so long: clew trace list --min-duration 1s",
        (Cause.ROUTE,),
    ),
    "URX": Meaning(
        "failed in every attempt", "see the retries of the route", (Cause.ROUTE, Cause.UPSTREAM)
    ),
    "NR": Meaning(
        "has no route: nothing matches host, path and headers",
        "see the hosts and matches of the VirtualService",
        (Cause.ROUTE,),
    ),
    "NC": Meaning(
        "was routed to a subset or host that does not exist",
        "a VirtualService names what no DestinationRule or Service defines",
        (Cause.ROUTE,),
    ),
    "DC": Meaning(
        "was given up by the caller before there was an answer",
        "the caller's timeout may be shorter than the answer takes",
    ),
    "DR": Meaning("was given up by the caller, who reset its stream"),
    "DI": Meaning("was delayed on purpose", "the route injects faults", (Cause.ROUTE,)),
    "FI": Meaning("was failed on purpose", "the route injects faults", (Cause.ROUTE,)),
    "RL": Meaning("was over a rate limit"),
    "RLSE": Meaning("was refused because the rate limit service did not answer"),
    "UAEX": Meaning(
        "was denied by the external authorizer, or that did not answer",
        "see the provider in MeshConfig that the policy names",
        (Cause.AUTHORIZER,),
    ),
    "LH": Meaning("was refused because the workload's own health check fails"),
    "LR": Meaning("was reset by this proxy"),
    "UR": Meaning("was reset by the other side", "", (Cause.UPSTREAM,)),
    "UPE": Meaning(
        "was answered with what is no valid HTTP",
        "the port may not speak the protocol that the Service's port name says",
        (Cause.UPSTREAM,),
    ),
    "UMSDR": Meaning("was not done within the longest time of a stream"),
    "DT": Meaning("was not done within the longest time of a connection or stream"),
    "SI": Meaning("was silent for too long"),
    "DPE": Meaning("was no valid HTTP: the caller speaks something else"),
    "IH": Meaning("had headers of Envoy's with values that are not valid"),
    "OM": Meaning("was refused because the proxy is overloaded"),
    "DO": Meaning("was dropped because the service is overloaded"),
    "DF": Meaning(
        "was not sent: the host name could not be resolved", "see the hosts of the ServiceEntry"
    ),
    "NFCF": Meaning("met a filter whose configuration has not come yet"),
    "RFCF": Meaning("was answered from a cache"),
}

# By how the details begin, where there is no flag.
DETAILS: Mapping[str, Meaning] = {
    "rbac_access_denied": Meaning(
        "was denied by an authorization policy",
        "ask who may: clew authz can FROM TO METHOD PATH",
        (Cause.DENIAL,),
    ),
    "jwt_authn_access_denied": Meaning(
        "was refused because of its token, or for lack of one",
        "see the issuer and audiences of the rule",
        (Cause.TOKEN,),
    ),
    "direct_response": Meaning("was answered by the route itself", "", (Cause.ROUTE,)),
}


def split_flags(text: str) -> tuple[str, ...]:
    """``UF,URX`` as an access log has it; ``-`` is none."""
    return tuple(flag for flag in text.split(",") if flag not in ("", "-"))


def meanings(flags: tuple[str, ...], details: str) -> dict[str, Meaning]:
    """What there is to say of a request, by flag, or by what its details begin with."""
    known = {flag: FLAGS[flag] for flag in flags if flag in FLAGS}
    named = {name: each for name, each in DETAILS.items() if details.startswith(name)}
    return known | named
