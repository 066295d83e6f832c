"""What a Kubernetes Ingress stands for."""

from __future__ import annotations

import pytest

from clew.model.base import ResourceKey
from clew.model.mesh_config import IngressControllerMode, MeshConfig
from clew.model.route_semantics import has_segment_prefixes
from clew.model.virtual_service import PortSelector, VirtualService
from clew.snapshot.findings import own_statuses
from clew.snapshot.ingress import Converted, convert_ingresses
from clew.snapshot.objects import index_objects
from clew.snapshot.snapshot import build_snapshot, update_snapshot
from tests.manifests import resources_of
from tests.snapshot.world import service


def ingress(name: str, paths: str, *, host: str = "a.com", more: str = "", age: int = 0) -> str:
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: default, creationTimestamp: "2020-01-{age + 1:02}T00:00:00Z"}}
spec:
  ingressClassName: istio
  rules: [{{host: {host}, http: {{paths: [{paths}]}}}}]
{more}
"""


def path(text: str, kind: str, to: str = "web", port: str = "{number: 80}") -> str:
    backend = f"backend: {{service: {{name: {to}, port: {port}}}}}"
    return f"{{path: '{text}', pathType: {kind}, {backend}}}"


def converted(*texts: str, mesh: MeshConfig | None = None) -> Converted:
    objects = index_objects(resources_of("\n---\n".join(texts)))
    return convert_ingresses(objects, mesh or MeshConfig())


def routes(rule: VirtualService) -> list[tuple[list[str], str]]:
    """The alternatives of each match (``=`` exact, ``^`` prefix), and the service."""
    found = []
    for route in rule.spec.http:
        uris = [match.uri for match in route.match if match.uri is not None]
        texts = [f"={u.exact}" if u.exact is not None else f"^{u.prefix}" for u in uris]
        found.append((texts, route.route[0].destination.host.partition(".")[0]))
    return found


def test_a_prefix_goes_by_path_segments_and_the_longest_path_comes_first() -> None:
    [rule] = converted(
        ingress(
            "i",
            ",".join(
                [
                    path("/", "Prefix", "all"),
                    path("/shop", "Prefix", "shop"),
                    path("/shop", "Exact", "front"),
                    path("/old/*", "ImplementationSpecific", "old"),
                ]
            ),
        )
    ).rules
    assert routes(rule) == [
        (["=/shop"], "front"),
        (["^/shop"], "shop"),
        (["^/old"], "old"),
        ([], "all"),
    ]
    assert has_segment_prefixes(rule)


def test_ingresses_of_one_host_add_up() -> None:
    found = converted(
        ingress("young", path("/young", "Exact", "young"), age=1),
        ingress("old", path("/o", "Exact", "old")),
        ingress("other", path("/", "Prefix", "other"), host="b.com"),
    )
    assert [rule.spec.hosts for rule in found.rules] == [("a.com",), ("b.com",)]
    assert [to for _, to in routes(found.rules[0])] == ["young", "old"]
    assert len(found.rules[0].spec.gateways) == 2


def test_a_port_may_be_named_and_an_unknown_one_has_no_route() -> None:
    named, unknown = "{name: http}", "{name: none}"
    paths = f"{path('/a', 'Exact', port=named)}, {path('/b', 'Exact', port=unknown)}"
    [rule] = converted(service("web"), ingress("i", paths)).rules
    [route] = rule.spec.http
    assert route.route[0].destination.port == PortSelector(number=80)


def test_tls_is_a_server_with_the_secret_and_every_host_has_plaintext() -> None:
    tls = "  tls: [{hosts: [a.com], secretName: cert}]"
    [gateway] = converted(ingress("i", path("/", "Prefix"), more=tls)).gateways
    https, http = gateway.spec.servers
    assert (https.port.number, https.hosts) == (443, ("a.com",))
    assert https.tls is not None
    assert https.tls.credential_name == "cert"
    assert (http.port.number, http.hosts) == (80, ("*",))
    assert gateway.metadata.namespace == "istio-system"
    assert gateway.spec.selector == {"istio": "ingressgateway"}


@pytest.mark.proves("MeshConfig.ingressSelector", "MeshConfig.ingressClass")
def test_the_mesh_names_the_routers_and_the_class_of_ingresses() -> None:
    mesh = MeshConfig(ingress_selector="edge", ingress_class="outside")
    text = ingress("i", path("/", "Prefix"))
    assert converted(text, mesh=mesh) == Converted()
    [gateway] = converted(text.replace("Name: istio", "Name: outside", 1), mesh=mesh).gateways
    assert gateway.spec.selector == {"istio": "edge"}


@pytest.mark.proves(
    "MeshConfig.ingressControllerMode=UNSPECIFIED",
    "MeshConfig.ingressControllerMode=OFF",
    "MeshConfig.ingressControllerMode=DEFAULT",
    "MeshConfig.ingressControllerMode=STRICT",
)
def test_an_ingress_is_ours_by_its_class() -> None:
    ours = ingress("i", path("/", "Prefix"))
    bare = ours.replace("  ingressClassName: istio\n", "")
    foreign = ours.replace("istio", "nginx", 1)
    modes = {mode: MeshConfig(ingress_controller_mode=mode) for mode in IngressControllerMode}

    def taken(text: str, mode: str) -> bool:
        return converted(text, mesh=modes[IngressControllerMode(mode)]) != Converted()

    assert [taken(text, "UNSPECIFIED") for text in (ours, bare, foreign)] == [True, False, False]
    assert [taken(text, "STRICT") for text in (ours, bare, foreign)] == [True, False, False]
    assert [taken(text, "DEFAULT") for text in (ours, bare, foreign)] == [True, True, False]
    assert [taken(text, "OFF") for text in (ours, bare, foreign)] == [False, False, False]


def ingress_class(name: str, controller: str, *, default: bool = False, age: int = 0) -> str:
    mark = '{ingressclass.kubernetes.io/is-default-class: "true"}' if default else "{}"
    return f"""
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: {name}
  creationTimestamp: "2020-01-{age + 1:02}T00:00:00Z"
  annotations: {mark}
spec: {{controller: {controller}}}
"""


OURS, THEIRS = "istio.io/ingress-controller", "example.com/ingress"


def test_the_controller_of_its_class_decides_whose_an_ingress_is() -> None:
    edge = ingress("i", path("/", "Prefix")).replace("Name: istio", "Name: edge")
    assert converted(edge) == Converted()
    assert converted(edge, ingress_class("edge", OURS)) != Converted()
    assert converted(edge, ingress_class("edge", THEIRS)) == Converted()
    named = ingress("i", path("/", "Prefix"))
    assert converted(named, ingress_class("istio", THEIRS)) == Converted()


def test_an_ingress_without_a_class_has_the_youngest_default_class() -> None:
    bare = ingress("i", path("/", "Prefix")).replace("  ingressClassName: istio\n", "")
    default = MeshConfig(ingress_controller_mode=IngressControllerMode.DEFAULT)
    ours, theirs = ingress_class("a", OURS, default=True), ingress_class("b", THEIRS, default=True)
    assert converted(bare, ours) != Converted()
    assert converted(bare, ingress_class("a", OURS)) == Converted()
    assert converted(bare, theirs, mesh=default) == Converted()
    younger = ingress_class("b", THEIRS, default=True, age=1)
    assert converted(bare, ours, younger, mesh=default) == Converted()


def test_an_annotation_names_the_class_before_everything_else() -> None:
    text = ingress("i", path("/", "Prefix")).replace("Name: istio", "Name: edge")
    annotated = text.replace(
        "namespace: default", "namespace: default, annotations: {kubernetes.io/ingress.class: %s}"
    )
    edge = ingress_class("edge", OURS)
    assert converted(annotated % "nginx", edge) == Converted()
    assert converted(annotated % "istio", ingress_class("edge", THEIRS)) != Converted()


def test_a_class_that_comes_later_puts_its_ingresses_in_force() -> None:
    edge = ingress("i", path("/", "Prefix")).replace("Name: istio", "Name: edge")
    before = build_snapshot(resources_of(edge))
    [declared] = resources_of(ingress_class("edge", OURS))
    after, _ = update_snapshot(before, [(declared.key, declared)])
    assert (len(before.gateways), len(after.gateways)) == (0, 1)


@pytest.mark.proves("MeshConfig.ingressService")
def test_an_ingress_is_reached_where_the_mesh_says_its_service_is() -> None:
    published = """
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: istio-system}
spec: {type: LoadBalancer, externalIPs: [192.0.2.9], ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}, {hostname: edge.example.com}]}}
"""
    foreign = ingress("foreign", path("/", "Prefix")).replace("Name: istio", "Name: nginx")
    text = "\n---\n".join([published, ingress("i", path("/", "Prefix")), foreign])
    mesh = MeshConfig(ingress_service="edge")
    key = ResourceKey("networking.k8s.io", "Ingress", "default", "i")
    found = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.9"}, {"hostname": "edge.example.com"}]
    statuses = own_statuses(build_snapshot(resources_of(text), mesh=mesh))
    assert statuses == {key: {"loadBalancer": {"ingress": found}}}
    assert own_statuses(build_snapshot(resources_of(text))) == {}
