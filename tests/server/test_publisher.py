"""From changed objects to what connected proxies are told."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from clew.config.parse import parse_documents
from clew.model.base import Resource, ResourceKey
from clew.model.proxy import Proxy, ProxyType
from clew.model.virtual_service import HTTPDirectResponse, HTTPRoute, VirtualService
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Published, TypeUrl
from clew.server.publisher import Publisher

CLIENT = Proxy(type=ProxyType.SIDECAR, name="client-0", namespace="default", ip="10.0.0.1")
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  clusterIP: 10.1.0.1
  ports: [{name: http, port: 9080}]
  selector: {app: reviews}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: reviews-{n}, namespace: default, labels: {{app: reviews, version: v1}}}}
status:
  podIP: 10.0.0.{n}
  conditions: [{{type: Ready, status: "True"}}]
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http: [{timeout: 3s, route: [{destination: {host: reviews}}]}]
"""
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"


class Heard:
    """A proxy that writes down what it is told."""

    def __init__(self) -> None:
        self.published: Published = {}
        self.changed: list[Mapping[TypeUrl, AbstractSet[str]] | None] = []

    def __call__(
        self, published: Published, changed: Mapping[TypeUrl, AbstractSet[str]] | None
    ) -> None:
        self.published = published
        self.changed.append(changed)


def resources(text: str) -> list[Resource]:
    documents = parse_documents(text)
    assert all(document.valid for document in documents), documents
    return [document.resource for document in documents if document.resource]


def versions(heard: Heard) -> dict[TypeUrl, dict[str, str]]:
    return {
        kind: {name: resource.version for name, resource in found.items()}
        for kind, found in heard.published.items()
    }


def applied(text: str) -> list[tuple[ResourceKey, Resource | None]]:
    return [(resource.key, resource) for resource in resources(text)]


def connected(*texts: str) -> tuple[Publisher, Heard]:
    publisher = Publisher(r for text in texts for r in resources(text))
    heard = Heard()
    publisher.connect(CLIENT, heard)
    return publisher, heard


def test_a_proxy_that_connects_is_told_everything_at_once() -> None:
    _, heard = connected(SERVICE, POD.format(n=2))
    assert heard.changed == [None]
    assert REVIEWS in heard.published[CLUSTER]
    assert REVIEWS in heard.published[ENDPOINTS]
    assert "9080" in heard.published[ROUTE]


def test_one_more_ready_pod_changes_only_the_endpoints_of_its_service() -> None:
    publisher, heard = connected(SERVICE, POD.format(n=2))
    publisher.change(applied(POD.format(n=3)))
    assert heard.changed[1:] == [{ENDPOINTS: {REVIEWS}}]


def test_the_first_pod_of_a_service_changes_what_depends_on_having_one() -> None:
    publisher, heard = connected(SERVICE)
    publisher.change(applied(POD.format(n=2)))
    [changed] = heard.changed[1:]
    assert changed is not None
    assert REVIEWS in changed[ENDPOINTS]
    _, other = connected(SERVICE, POD.format(n=2))
    assert versions(heard) == versions(other)


def test_a_virtual_service_changes_the_routes_of_its_port_and_no_cluster() -> None:
    publisher, heard = connected(SERVICE, POD.format(n=2))
    publisher.change(applied(ROUTES))
    [changed] = heard.changed[1:]
    assert changed is not None
    assert ROUTE in changed
    assert CLUSTER not in changed


TELEMETRY = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: told, namespace: default}
spec: {metrics: [{overrides: [{disabled: true}]}]}
"""


def test_a_telemetry_changes_listeners_and_nothing_else() -> None:
    publisher, heard = connected(SERVICE, POD.format(n=2))
    counted = versions(heard)
    publisher.change(applied(TELEMETRY))
    [changed] = heard.changed[1:]
    assert changed is not None
    assert changed.keys() == {LISTENER}
    publisher.change([(resource.key, None) for resource in resources(TELEMETRY)])
    assert versions(heard) == counted


def test_an_apply_of_the_same_object_tells_nobody_anything() -> None:
    publisher, heard = connected(SERVICE, POD.format(n=2), ROUTES)
    publisher.change(applied(ROUTES))
    assert heard.changed == [None]


def test_replicas_share_one_compilation_and_hear_the_same_bytes() -> None:
    publisher, first = connected(SERVICE, POD.format(n=2))
    second = Heard()
    publisher.connect(
        Proxy(type=ProxyType.SIDECAR, name="client-1", namespace="default", ip="10.0.0.9"), second
    )
    assert second.published is first.published


def test_a_proxy_that_has_gone_is_told_nothing() -> None:
    publisher, heard = connected(SERVICE)
    subscriber = publisher.connect(CLIENT, heard)
    publisher.disconnect(subscriber)
    told = len(heard.changed)
    publisher.change(applied(ROUTES))
    assert len(heard.changed) == told + 1  # the first connection, which is still there


ELSEWHERE = Proxy(type=ProxyType.SIDECAR, name="client-0", namespace="elsewhere", ip="10.0.0.8")


def uncompilable() -> VirtualService:
    """What only a mistake of ours could let in: a status that no protobuf takes, which just
    ``elsewhere`` sees.
    """
    [good] = resources(ROUTES)
    assert isinstance(good, VirtualService)
    answer = HTTPRoute(direct_response=HTTPDirectResponse(status=-1))
    spec = msgspec.structs.replace(good.spec, http=(answer,), export_to=("elsewhere",))
    metadata = msgspec.structs.replace(good.metadata, name="broken")
    return msgspec.structs.replace(good, spec=spec, metadata=metadata)


def unindexable() -> VirtualService:
    [good] = resources(ROUTES)
    assert isinstance(good, VirtualService)
    metadata = msgspec.structs.replace(good.metadata, name="broken")
    return msgspec.structs.replace(good, spec=None, metadata=metadata)


def test_proxies_that_cannot_be_compiled_keep_what_they_have_and_hold_up_no_other() -> None:
    publisher, here = connected(SERVICE, POD.format(n=2))
    there = Heard()
    publisher.connect(ELSEWHERE, there)
    broken = uncompilable()
    publisher.change([(broken.key, broken), *applied(ROUTES)])
    assert len(here.changed) == 2
    assert there.changed == [None]
    publisher.change([(broken.key, None)])
    assert there.changed[1:] == [{ROUTE: {"9080"}}]
    fresh = Heard()
    Publisher(resources(SERVICE + "---" + POD.format(n=2) + "---" + ROUTES)).connect(
        ELSEWHERE, fresh
    )
    assert versions(there) == versions(fresh)


def test_a_change_that_cannot_be_taken_is_left_out_and_its_batch_is_not() -> None:
    publisher, heard = connected(SERVICE, POD.format(n=2))
    broken = unindexable()
    publisher.change([(broken.key, broken), *applied(ROUTES)])
    assert heard.changed[1:] == [{ROUTE: {"9080"}}]


def test_the_control_plane_starts_without_an_object_that_it_cannot_take() -> None:
    publisher = Publisher([unindexable(), *resources(SERVICE), *resources(POD.format(n=2))])
    heard = Heard()
    publisher.connect(CLIENT, heard)
    assert REVIEWS in heard.published[ENDPOINTS]
