"""Which mTLS mode a workload's port has: workload over namespace over mesh, the oldest first.

Source: istio's composition of PeerAuthentication.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clew.model.base import age_order
from clew.model.peer_authentication import MutualTLSMode, PeerAuthentication
from clew.snapshot.labels import selects
from clew.snapshot.scope import MutualTls

Modes = tuple[MutualTls, dict[int, MutualTls]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Authentication:
    """The policies of each namespace, oldest first."""

    root_namespace: str = ""
    policies: Mapping[str, tuple[PeerAuthentication, ...]] = field(default_factory=dict)

    def of_namespace(self, namespace: str) -> MutualTls:
        """Return the mode for workloads that no selector names."""
        for where in (namespace, self.root_namespace):
            general = (p for p in self.policies.get(where, ()) if not _selector(p))
            if (oldest := next(general, None)) and (mode := _mode(oldest)) is not None:
                return mode
        return MutualTls.PERMISSIVE

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> Modes:
        """Return the mode of a workload and the exceptions by target port."""
        inherited = self.of_namespace(namespace)
        if namespace == self.root_namespace:
            return inherited, {}
        for policy in self.policies.get(namespace, ()):
            selector = _selector(policy)
            if selector and selects(selector, labels):
                own = _mode(policy) or inherited
                ports = {
                    int(port): _known(setting.mode) or own
                    for port, setting in policy.spec.port_level_mtls.items()
                    if port.isdigit()
                }
                return own, ports
        return inherited, {}


def together(policies: Iterable[Modes]) -> Modes:
    """Return the modes that take whatever one of these takes."""
    every = tuple(policies)
    ports = {port for _, exceptions in every for port in exceptions}
    return (
        _either(mode for mode, _ in every),
        {port: _either(ports_of.get(port, mode) for mode, ports_of in every) for port in ports},
    )


def _either(modes: Iterable[MutualTls]) -> MutualTls:
    different = set(modes)
    return different.pop() if len(different) == 1 else MutualTls.PERMISSIVE


def index_authentication(
    policies: Iterable[PeerAuthentication], root_namespace: str
) -> Authentication:
    found: dict[str, list[PeerAuthentication]] = {}
    for policy in sorted(policies, key=age_order):
        found.setdefault(policy.metadata.namespace, []).append(policy)
    ordered = {namespace: tuple(group) for namespace, group in found.items()}
    return Authentication(root_namespace=root_namespace, policies=ordered)


def _selector(policy: PeerAuthentication) -> Mapping[str, str]:
    return policy.spec.selector.match_labels if policy.spec.selector else {}


def _mode(policy: PeerAuthentication) -> MutualTls | None:
    return _known(policy.spec.mtls.mode) if policy.spec.mtls else None


def _known(mode: MutualTLSMode | None) -> MutualTls | None:
    return None if mode in (None, MutualTLSMode.UNSET) else MutualTls(str(mode))
