"""What policies are attached to that nobody enforces them at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.diagnostic import Diagnostic
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.request_authentication import RequestAuthentication
from clew.model.status import REFERENCE_NOT_FOUND, object_warning
from clew.snapshot.objects import objects_of
from clew.snapshot.policy_targets import targets_of
from clew.snapshot.snapshot import MeshSnapshot

_OF_WAYPOINTS = frozenset({"Service", "ServiceEntry", "GatewayClass"})


def policies_for_nobody(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the targets of policies that are not there, or that only a waypoint would serve."""
    policies: Iterable[AuthorizationPolicy | RequestAuthentication] = chain(
        objects_of(AuthorizationPolicy, snapshot.objects),
        objects_of(RequestAuthentication, snapshot.objects),
    )
    gateways = snapshot.objects.get(KubernetesGateway, {})
    for policy in policies:
        field = "spec.targetRefs" if policy.spec.target_refs else "spec.targetRef"
        for place, target in enumerate(targets_of(policy)):
            where = f"{field}[{place}]" if policy.spec.target_refs else field
            if target.kind in _OF_WAYPOINTS:
                yield object_warning(
                    policy.key,
                    f"what is attached to a {target.kind} is enforced at waypoints, of which there "
                    "are none: it has no effect",
                    field=where,
                    hint="select the workloads instead: selector: {matchLabels: {...}}",
                )
            elif target.name not in gateways.get(policy.metadata.namespace, {}):
                yield object_warning(
                    policy.key,
                    f'there is no {target.kind} "{target.name}" in {policy.metadata.namespace}: '
                    "it has no effect there",
                    field=where,
                    code=REFERENCE_NOT_FOUND,
                )
