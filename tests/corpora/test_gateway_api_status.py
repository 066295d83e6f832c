"""What the Gateway API's conformance tests want to read in statuses. A ratchet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from clew.config.parse import parse_documents, parse_manifest
from clew.model.base import Resource, ResourceKey
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.reference_grant import ReferenceGrant
from clew.snapshot.findings import own_statuses
from clew.snapshot.gateway_api.deployment import deployed_gateways, gateway_manifests
from clew.snapshot.objects import index_objects
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import FOLDER, cases
from tests.corpora.gateway_worlds import roots, tls_secret

REACHED = 0.97
GROUP = "gateway.networking.k8s.io"
CONTROLLER = "istio.io/gateway-controller"
Status = Mapping[str, Any]


def world(case: dict[str, Any], subtest: str) -> list[Resource]:
    """The objects of a case as they are when a subtest looks at them.

    Certificates are made by the program that runs the tests, and so are Gateways' services.
    """
    text = "\n---\n".join(case["manifests"].values())
    if case["needs_base_manifests"]:
        base = (FOLDER / "support" / "gateway-api-base-manifests.yaml").read_text()
        text = f"{base}\n---\n{text}"
    text = text.replace("{GATEWAY_CLASS_NAME}", "istio")
    resources = [d.resource for d in parse_documents(text) if d.resource is not None]
    resources = [_changed(each, subtest) for each in resources]
    if "delet" in subtest:
        resources = [each for each in resources if not isinstance(each, ReferenceGrant)]
    for key in build_snapshot(resources).gateway_api.referenced:
        if key in {each.key for each in resources} or "nonexist" in key.name or key.group:
            continue
        made = {"Secret": tls_secret, "ConfigMap": roots}.get(key.kind)
        if made is not None:
            resources.append(parsed(made(key.name, key.namespace)))
    for deployed in deployed_gateways(index_objects(resources)):
        service = gateway_manifests(deployed)[1]
        ingress = [{"ip": "192.0.2.1"}]
        resources.append(parsed({**service, "status": {"loadBalancer": {"ingress": ingress}}}))
    return resources


def parsed(manifest: dict[str, Any]) -> Resource:
    resource = parse_manifest(manifest).resource
    assert resource is not None
    return resource


def _changed(resource: Resource, subtest: str) -> Resource:
    """What a subtest adds to a Gateway, or takes away, before it looks."""
    resource = msgspec.structs.replace(
        resource, metadata=msgspec.structs.replace(resource.metadata, generation=1)
    )
    if not isinstance(resource, KubernetesGateway):
        return resource
    listeners = resource.spec.listeners
    if "add a listener" in subtest and resource.metadata.name == "gateway-add-listener":
        plain = msgspec.structs.replace(
            listeners[0], name="http", port=80, protocol="HTTP", hostname=None, tls=None
        )
        listeners = (*listeners, plain)
    elif "remove listeners" in subtest and resource.metadata.name == "gateway-remove-listener":
        listeners = tuple(each for each in listeners if each.name == "http")
    return msgspec.structs.replace(
        resource, spec=msgspec.structs.replace(resource.spec, listeners=listeners)
    )


class Look:
    """One status, and what the conformance tests ask of it."""

    def __init__(self, statuses: Mapping[ResourceKey, Status]) -> None:
        self._statuses = statuses

    def of(self, kind: str, name: str) -> Status:
        namespace, _, short = name.partition("/")
        return self._statuses.get(ResourceKey(GROUP, kind, namespace, short), {})

    def parents(self, kind: str, name: str, gateway: str) -> list[Status]:
        namespace, _, short = gateway.partition("/")
        own = name.partition("/")[0]
        return [
            parent
            for parent in self.of(kind, name).get("parents", ())
            if parent["parentRef"]["name"] == short
            and parent["parentRef"].get("namespace", own) == namespace
        ]


def has(conditions: list[Status], wanted: Status) -> bool:
    return any(
        c["type"] == wanted["Type"]
        and c["status"] == wanted["Status"]
        and wanted.get("Reason") in (None, "", c["reason"])
        for c in conditions
    )


def accepted(conditions: list[Status]) -> bool:
    return has(conditions, {"Type": "Accepted", "Status": "True"})


def listeners_are(status: Status, wanted: list[Status]) -> bool:
    found = {each["name"]: each for each in status.get("listeners", ())}
    return found.keys() == {each["Name"] for each in wanted} and all(
        listener_is(found[each["Name"]], each) for each in wanted
    )


def listener_is(listener: Status, wanted: Status) -> bool:
    kinds = [(kind["group"], kind["kind"]) for kind in listener["supportedKinds"]]
    return (
        listener["attachedRoutes"] == wanted["AttachedRoutes"]
        and all((k["Group"], k["Kind"]) in kinds for k in wanted["SupportedKinds"])
        and (bool(wanted["SupportedKinds"]) or not kinds)
        and all(has(listener["conditions"], c) for c in wanted["Conditions"])
    )


def latest(conditions: list[Status]) -> bool:
    return bool(conditions) and all(c.get("observedGeneration") == 1 for c in conditions)


def gateway_and_routes(look: Look, kind: str, args: list[Any]) -> bool:
    gateway = args[0]["gateway"]
    usable = accepted(look.of("Gateway", gateway).get("conditions", []))
    has_address = bool(look.of("Gateway", gateway).get("addresses"))
    routes = [arg for arg in args[1:] if isinstance(arg, str)]
    parents = [look.parents(kind, route, gateway) for route in routes]
    return usable and has_address and all(p and accepted(p[0]["conditions"]) for p in parents)


def parents_are(look: Look, kind: str, args: list[Any]) -> bool:
    for wanted in args[1]:
        reference = wanted["ParentRef"]
        gateway = f"{reference['Namespace']}/{reference['Name']}"
        found = look.parents(kind, args[0], gateway)
        if not found or not all(has(found[0]["conditions"], c) for c in wanted["Conditions"]):
            return False
    return len(look.of(kind, args[0])["parents"]) == len(args[1])


def named_listener(look: Look, kind: str, args: list[Any]) -> bool:
    found = {each["name"]: each for each in look.of(kind, args[0]).get("listeners", ())}
    wanted = [found[name] for name in args[2:]] if args[2:] else list(found.values())
    return bool(wanted) and all(has(each["conditions"], c) for each in wanted for c in args[1])


def policy_condition(look: Look, kind: str, args: list[Any]) -> bool:
    gateway = args[1].partition("/")[2]
    return any(
        a["ancestorRef"]["name"] == gateway and has(a["conditions"], args[2])
        for a in look.of(kind, args[0]).get("ancestors", ())
    )


def routes_and_parent(look: Look, kind: str, args: list[Any]) -> bool:
    parent = args[0]["args"]
    own = look.of(parent[0]["Kind"], parent[1]).get("conditions", [])
    found = [look.parents(kind, route, parent[1]) for route in args[2:]]
    return accepted(own) and all(p and accepted(p[0]["conditions"]) for p in found)


def route_condition(look: Look, kind: str, args: list[Any]) -> bool:
    return any(has(p["conditions"], args[2]) for p in look.parents(kind, args[0], args[1]))


RESOLVED = {"Type": "ResolvedRefs", "Status": "True", "Reason": "ResolvedRefs"}
CHECKS: dict[str, Callable[[Look, str, list[Any]], bool]] = {
    "GatewayAndRoutesMustBeAccepted": lambda look, _, args: gateway_and_routes(
        look, "GRPCRoute" if args[2] else "HTTPRoute", args
    ),
    "MustHaveResolvedRefsConditionsTrue": lambda look, kind, args: route_condition(
        look, kind, [*args, RESOLVED]
    ),
    "BackendTLSPolicyMustHaveCondition": policy_condition,
    "GatewayStatusMustHaveListeners": lambda look, _, args: listeners_are(
        look.of("Gateway", args[0]), args[1]
    ),
    "ListenerSetStatusMustHaveListeners": lambda look, _, args: listeners_are(
        look.of("ListenerSet", args[0]), args[1]
    ),
    "GatewayMustHaveLatestConditions": lambda look, _, args: latest(
        look.of("Gateway", args[0]).get("conditions", [])
    ),
    "HTTPRouteMustHaveLatestConditions": lambda look, _, args: latest(
        [c for p in look.of("HTTPRoute", args[0])["parents"] for c in p["conditions"]]
    ),
    "GatewayMustHaveCondition": lambda look, kind, args: has(
        look.of("Gateway", args[0]).get("conditions", []), args[1]
    ),
    "ListenerSetMustHaveCondition": lambda look, kind, args: has(
        look.of("ListenerSet", args[0]).get("conditions", []), args[1]
    ),
    "AndRoutesMustBeAccepted": gateway_and_routes,
    "MustHaveCondition": route_condition,
    "MustHaveNoAcceptedParents": lambda look, kind, args: (
        not any(accepted(p["conditions"]) for p in look.of(kind, args[0]).get("parents", ()))
    ),
    "GatewayMustHaveZeroRoutes": lambda look, _, args: (
        not any(each["attachedRoutes"] for each in look.of("Gateway", args[0])["listeners"])
    ),
    "MustHaveParents": parents_are,
    "GatewayListenersMustHaveConditions": lambda look, _, args: named_listener(
        look, "Gateway", args
    ),
    "ListenerSetListenersMustHaveConditions": lambda look, _, args: named_listener(
        look, "ListenerSet", args
    ),
    "GatewayMustHaveAttachedListeners": lambda look, _, args: (
        look.of("Gateway", args[0]).get("attachedListenerSets", 0) == args[1]
    ),
    "RoutesAndParentMustBeAccepted": lambda look, _, args: routes_and_parent(
        look, "HTTPRoute", args
    ),
    "WaitForGatewayAddress": lambda look, _, args: bool(
        look.of("Gateway", args[0]["gateway"]).get("addresses")
    ),
}
_ROUTES = re.compile(r"^(GatewayAnd)?(HTTP|GRPC|TLS|TCP|UDP)Routes?")


def holds(look: Look, assertion: dict[str, Any]) -> bool:
    name, kind = assertion["assert"], "BackendTLSPolicy"
    if name not in CHECKS and (found := _ROUTES.match(name)):
        kind = f"{found[2]}Route"
        name = name[found.end() :]
        name = f"AndRoutes{name}" if found[1] else name
    return CHECKS[name](look, kind, assertion["args"])


def test_statuses_are_what_conformance_asks_for(score: Score) -> None:
    wrong, total = [], 0
    for case in cases("gatewayapi-conformance"):
        looks: dict[str, Look] = {}
        for assertion in case["status_assertions"]:
            subtest = assertion["subtest"]
            if subtest not in looks:
                looks[subtest] = Look(own_statuses(build_snapshot(world(case, subtest))))
            total += 1
            if not holds(looks[subtest], assertion):
                words = msgspec.json.encode(assertion["args"]).decode()
                wrong.append(f"{case['name']}: {assertion['assert']} {words} ({subtest})")
    score("gatewayapi-conformance statuses", total, wrong, REACHED)
