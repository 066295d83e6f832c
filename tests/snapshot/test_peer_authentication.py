from __future__ import annotations

import pytest

from clew.model.peer_authentication import PeerAuthentication
from clew.snapshot.peer_authentication import index_authentication
from clew.snapshot.scope import MutualTls
from tests.manifests import resources_of
from tests.snapshot.world import istio


def modes(*texts: str) -> tuple[MutualTls, dict[int, MutualTls]]:
    """The mode of ``web`` with these policies, and those of its ports."""
    resources = resources_of("\n---\n".join(texts))
    policies = [each for each in resources if isinstance(each, PeerAuthentication)]
    return index_authentication(policies, "istio-system").of_workload("default", {"app": "web"})


@pytest.mark.proves("MutualTLS.mode=UNSET")
@pytest.mark.parametrize("unset", ["{}", "{mtls: {}}", "{mtls: {mode: UNSET}}"])
def test_what_is_unset_is_as_in_the_namespace_then_as_in_the_mesh(unset: str) -> None:
    root = istio("PeerAuthentication", "all", "{mtls: {mode: STRICT}}", "istio-system")
    namespace = istio("PeerAuthentication", "here", unset)
    assert modes(root, namespace) == (MutualTls.STRICT, {})
    spec = "{selector: {matchLabels: {app: web}}, portLevelMtls: {'80': {mode: UNSET}}}"
    workload = istio("PeerAuthentication", "web", spec)
    strict, ports = modes(root, namespace, workload)
    assert (strict, ports) == (MutualTls.STRICT, {80: MutualTls.STRICT})


@pytest.mark.proves("PeerAuthenticationSpec.selector", "PeerAuthenticationSpec.portLevelMtls")
def test_a_workloads_policy_goes_before_its_namespaces() -> None:
    namespace = istio("PeerAuthentication", "here", "{mtls: {mode: STRICT}}")
    spec = "{selector: {matchLabels: {app: %s}}, mtls: {mode: DISABLE}}"
    own = istio("PeerAuthentication", "own", spec.replace("%s", "web"))
    other = istio("PeerAuthentication", "other", spec.replace("%s", "db"))
    assert modes(namespace, own) == (MutualTls.DISABLE, {})
    assert modes(namespace, other) == (MutualTls.STRICT, {})
