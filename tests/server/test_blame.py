"""Who is to blame for a failed request, looked up in what its proxy has."""

from __future__ import annotations

from typing import Any

import pytest

from clew.model.base import Resource
from clew.model.response_flags import DETAILS, FLAGS, split_flags
from clew.server.blame import Request, explanations
from clew.server.tap_entries import FLAG_FIELDS
from tests.compile.meshes import SERVICE, published, rule
from tests.manifests import resources_of

CLUSTER = "outbound|80||reviews.default.svc.cluster.local"
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - name: slow
    match: [{uri: {prefix: /slow}}]
    timeout: 1s
    route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other, namespace: default}
spec: {hosts: [other.example.com], http: [{redirect: {uri: /gone}}]}
"""
POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: default}
spec: {rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: planned, namespace: default, annotations: {istio.io/dry-run: "true"}}
spec: {rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: asked, namespace: default}
spec: {action: CUSTOM, provider: {name: opa}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec: {jwtRules: [{issuer: a, jwks: '{"keys": []}'}]}
"""
PUBLISHED = published(SERVICE, rule("subsets: [{name: v1, labels: {version: v1}}]"), ROUTES)
OBJECTS: list[Resource] = resources_of(POLICIES)
REVIEWS = {"cluster": CLUSTER, "authority": "reviews:80"}
MATCHED = "rbac_access_denied_matched_policy"


@pytest.mark.parametrize(
    ("request_", "blamed"),
    [
        ({"flags": ("UH",), **REVIEWS}, {"UH": ["DestinationRule default/rule"]}),
        ({"flags": ("UH",), "cluster": "outbound|80||nobody"}, {"UH": []}),
        (
            {"flags": ("UT",), "route": "slow", **REVIEWS},
            {"UT": ["VirtualService default/reviews"]},
        ),
        ({"flags": ("UT",), "route": "default", **REVIEWS}, {"UT": []}),
        (
            {"flags": ("NR",), "authority": "reviews.default:80"},
            {"NR": ["VirtualService default/reviews"]},
        ),
        ({"flags": ("NR",), "authority": "nobody"}, {"NR": []}),
        (
            {"flags": ("URX", "UF"), "route": "slow", **REVIEWS},
            {
                "URX": ["VirtualService default/reviews", "DestinationRule default/rule"],
                "UF": ["DestinationRule default/rule"],
            },
        ),
        ({"flags": ("DC",)}, {"DC": []}),
        ({"flags": ("UAEX",)}, {"UAEX": ["AuthorizationPolicy default/asked"]}),
        (
            {"details": f"{MATCHED}[ns[shop]-policy[no-get]-rule[0]]"},
            {"rbac_access_denied": ["AuthorizationPolicy shop/no-get"]},
        ),
        (
            {"details": f"{MATCHED}[none]"},
            {"rbac_access_denied": ["AuthorizationPolicy default/readers"]},
        ),
        (
            {"details": "jwt_authn_access_denied{Jwt_is_missing}"},
            {"jwt_authn_access_denied": ["RequestAuthentication default/tokens"]},
        ),
        ({"details": "via_upstream"}, {}),
        ({"flags": ("ZZ",)}, {}),
    ],
)
def test_the_object_that_is_to_blame_is_found(
    request_: dict[str, Any], blamed: dict[str, list[str]]
) -> None:
    found = explanations(Request(**request_), PUBLISHED, OBJECTS)
    assert {each.flag: [*each.objects] for each in found} == blamed
    assert all(each.says and str(each).startswith(f"{each.flag}: it ") for each in found)


def test_every_flag_that_a_proxy_can_tell_has_words() -> None:
    assert set(FLAG_FIELDS.values()) <= FLAGS.keys()
    assert not FLAGS.keys() & DETAILS.keys()
    assert split_flags("UF,URX") == ("UF", "URX")
    assert split_flags("-") == ()
