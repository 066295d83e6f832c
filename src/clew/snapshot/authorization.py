"""The AuthorizationPolicies of one proxy, out of the whole mesh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.proxy import Proxy
from clew.snapshot.authorization_policies import Authorization, authorization_of, policies_of
from clew.snapshot.snapshot import MeshSnapshot

_NO_OBJECTS: Mapping[str, Any] = {}


def authorization_at(snapshot: MeshSnapshot, proxy: Proxy) -> Authorization:
    """Return the AuthorizationPolicies that bind a proxy."""
    root, own = snapshot.mesh.root_namespace, proxy.namespace
    spaces = snapshot.objects.get(AuthorizationPolicy, _NO_OBJECTS)
    policies = snapshot.views.get(
        ("policies", own),
        policies_of,
        spaces.get(root, _NO_OBJECTS),
        spaces.get(own, _NO_OBJECTS) if own != root else _NO_OBJECTS,
    )
    return authorization_of(
        policies,
        proxy,
        root,
        snapshot.mesh.extension_providers,
        snapshot.services.by_host,
    )
