"""Which mTLS mode a workload's port has: workload over namespace over mesh, the oldest first.

Source: istio's composition of PeerAuthentication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clew.model.peer_authentication import MutualTLSMode, PeerAuthentication
from clew.snapshot.labels import selects
from clew.snapshot.scope import MutualTls


def namespace_mode(
    policies: Sequence[PeerAuthentication], namespace: str, root_namespace: str
) -> MutualTls:
    """Return the mode for workloads that no selector names. ``policies`` are oldest first."""
    for where in (namespace, root_namespace):
        for policy in policies:
            if policy.metadata.namespace == where and not _selector(policy):
                if (mode := _mode(policy)) is not None:
                    return mode
                break
    return MutualTls.PERMISSIVE


def workload_modes(
    policies: Sequence[PeerAuthentication],
    namespace: str,
    root_namespace: str,
    labels: Mapping[str, str],
) -> tuple[MutualTls, dict[int, MutualTls]]:
    """Return the mode of a workload and the exceptions by target port."""
    inherited = namespace_mode(policies, namespace, root_namespace)
    if namespace == root_namespace:
        return inherited, {}
    for policy in policies:
        selector = _selector(policy)
        if policy.metadata.namespace == namespace and selector and selects(selector, labels):
            own = _mode(policy) or inherited
            ports = {
                int(port): _known(setting.mode) or own
                for port, setting in policy.spec.port_level_mtls.items()
                if port.isdigit()
            }
            return own, ports
    return inherited, {}


def _selector(policy: PeerAuthentication) -> Mapping[str, str]:
    return policy.spec.selector.match_labels if policy.spec.selector else {}


def _mode(policy: PeerAuthentication) -> MutualTls | None:
    return _known(policy.spec.mtls.mode) if policy.spec.mtls else None


def _known(mode: MutualTLSMode | None) -> MutualTls | None:
    return None if mode in (None, MutualTLSMode.UNSET) else MutualTls(str(mode))
