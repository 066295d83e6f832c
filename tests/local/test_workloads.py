from clew.local.workloads import (
    RUN_BY,
    has_proxy,
    is_gateway,
    pod_labels,
    pod_manifest,
    replica_name,
)
from tests.local.objects import WEB, read, web

BARE = "{apiVersion: v1, kind: Pod, metadata: {name: job, namespace: shop%s}, spec: {}}"


def test_a_deployment_wants_its_replicas_and_one_if_it_does_not_say() -> None:
    assert web().replicas == 2
    assert web(("  replicas: 2\n", "")).replicas == 1
    assert web(("replicas: 2", "replicas: 0")).replicas == 0


def test_a_pod_is_wanted_only_if_a_user_wrote_it() -> None:
    owner = ", ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: '1'}]"
    guest = f", annotations: {{{RUN_BY}: '12:34'}}"
    assert [workload.name for workload in read(BARE % "")] == ["job"]
    assert read(BARE % owner) == ()
    assert read(BARE % guest) == ()


def test_replicas_of_a_new_template_have_new_names_except_in_a_stateful_set() -> None:
    old, new = web(), web(("acme/web:1", "acme/web:2"))
    assert old.version != new.version
    assert replica_name(old, 1) == f"web-{old.version}-1" != replica_name(new, 1)
    (stateful,) = read(WEB.replace("kind: Deployment", "kind: StatefulSet"))
    assert replica_name(stateful, 1) == "web-1"
    (bare,) = read(BARE % "")
    assert replica_name(bare, 0) == "job"


def test_the_number_of_replicas_is_no_part_of_the_template() -> None:
    assert web().version == web(("replicas: 2", "replicas: 5")).version


def test_a_bare_pod_is_the_same_with_the_labels_that_it_is_given() -> None:
    (plain,) = read(BARE % "")
    (labelled,) = read(BARE % ", labels: {security.istio.io/tlsMode: istio}")
    assert plain.version == labelled.version


def test_pods_have_the_labels_of_istios_injection() -> None:
    labels = pod_labels(web())
    assert labels["app"] == "web"
    assert labels["security.istio.io/tlsMode"] == "istio"
    assert labels["service.istio.io/canonical-name"] == "web"
    assert labels["service.istio.io/canonical-revision"] == "v1"
    named = web(("app: web", "app: web, app.kubernetes.io/name: shopfront"))
    assert pod_labels(named)["service.istio.io/canonical-name"] == "shopfront"


def test_labels_that_a_user_sets_win() -> None:
    plaintext = web(("app: web", "app: web, security.istio.io/tlsMode: disabled"))
    assert pod_labels(plaintext)["security.istio.io/tlsMode"] == "disabled"


def test_a_pod_has_its_address_at_once_and_is_not_ready() -> None:
    pod = pod_manifest(web(), "web-0", "10.0.0.9", since="2026-01-01T00:00:00Z")
    assert pod["status"]["podIP"] == "10.0.0.9"
    assert pod["status"]["conditions"] == [{"type": "Ready", "status": "False"}]
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Deployment", "web", True)


def test_istios_template_makes_a_gateway() -> None:
    annotated = "{annotations: {inject.istio.io/templates: gateway}, labels: {app: web}}"
    gateway = web(("{labels: {app: web, version: v1}}", annotated))
    assert is_gateway(gateway.template)
    assert not is_gateway(web().template)


def test_a_workload_may_refuse_a_sidecar() -> None:
    refusing = "{annotations: {sidecar.istio.io/inject: 'false'}, labels: {app: web, version: v1}}"
    plain = web(("{labels: {app: web, version: v1}}", refusing))
    assert not has_proxy(plain.template)
    assert "security.istio.io/tlsMode" not in pod_labels(plain)
    assert has_proxy(web().template)
    asking = (
        "app: web, sidecar.istio.io/inject: 'true'}, annotations: {sidecar.istio.io/inject: 'false'"
    )
    assert has_proxy(web(("app: web", asking)).template)
