from __future__ import annotations

import json

import pytest
import yaml

from tests.cli.mesh import REVIEWS, Shell

RATINGS = REVIEWS.replace("name: reviews", "name: ratings, labels: {team: a}")
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: reviews-v1-0}
spec: {containers: [{name: app, image: reviews}]}
status:
  phase: Running
  podIP: 10.0.0.7
  conditions: [{type: Ready, status: "True"}]
"""


@pytest.fixture
def shop(mesh: Shell) -> Shell:
    mesh.good("apply", "-f", "-", input="---\n".join((REVIEWS, RATINGS, SERVICE, POD)))
    return mesh


def lines(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_istios_columns_are_shown(shop: Shell) -> None:
    header, *rows = lines(shop.good("get", "vs"))
    assert header == ["NAME", "GATEWAYS", "HOSTS", "STATUS", "AGE"]
    assert [row[-3:-1] for row in rows] == [["no", "proxy"]] * 2
    assert [row[:2] for row in rows] == [["ratings", '["reviews"]'], ["reviews", '["reviews"]']]


def test_kubectls_columns_are_shown(shop: Shell) -> None:
    header, row = lines(shop.good("get", "pods"))
    assert header == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row[:4] == ["reviews-v1-0", "1/1", "Running", "0"]
    header, row = lines(shop.good("get", "svc"))
    assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row[:5] == ["reviews", "ClusterIP", "<none>", "<none>", "9080/TCP"]


def test_wide_shows_more(shop: Shell) -> None:
    header, row = lines(shop.good("get", "pods", "-o", "wide"))
    assert header[-2:] == ["IP", "NODE"]
    assert row[-2:] == ["10.0.0.7", "<none>"]


def test_objects_are_found_by_name_in_every_spelling(shop: Shell) -> None:
    for arguments in (["vs", "reviews"], ["virtualservices/reviews"], ["VirtualService/reviews"]):
        assert shop.good("get", *arguments, "-o", "name") == (
            "virtualservice.networking.istio.io/reviews\n"
        )


def test_several_kinds_are_told_apart(shop: Shell) -> None:
    output = shop.good("get", "svc,vs")
    assert output.index("service/reviews") < output.index("virtualservice.networking.istio.io/")
    assert "pod/reviews-v1-0" in shop.good("get", "all")


def test_labels_select(shop: Shell) -> None:
    assert len(lines(shop.good("get", "vs", "-l", "team=a"))) == 2
    result = shop.clew("get", "vs", "-l", "team a")
    assert result.exit_code == 1
    assert "is no label selector" in result.stderr


def test_all_namespaces_are_shown_with_their_names(shop: Shell) -> None:
    shop.good("apply", "-n", "other", "-f", "-", input=REVIEWS)
    header, *rows = lines(shop.good("get", "vs", "-A"))
    assert header[0] == "NAMESPACE"
    assert [row[0] for row in rows] == ["default", "default", "other"]


def test_yaml_can_be_applied_again(shop: Shell) -> None:
    text = shop.good("get", "vs", "reviews", "-o", "yaml")
    assert yaml.safe_load(text)["spec"]["hosts"] == ["reviews"]
    listed = shop.good("get", "vs,svc,pods", "-o", "yaml")
    for exported in (text, listed):
        output = shop.good("apply", "-f", "-", input=exported)
        assert {line.split()[1] for line in output.splitlines()} == {"unchanged"}


def test_json_of_one_is_the_object_and_of_many_a_list(shop: Shell) -> None:
    assert json.loads(shop.good("get", "vs", "reviews", "-o", "json"))["kind"] == "VirtualService"
    assert len(json.loads(shop.good("get", "vs", "-o", "json"))["items"]) == 2
    assert json.loads(shop.good("get", "dr", "-o", "json"))["items"] == []


def test_nothing_found_is_said_and_no_error(shop: Shell) -> None:
    result = shop.clew("get", "dr", "-n", "other")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No resources found in other namespace.\n"


def test_a_wrong_name_or_kind_gets_a_suggestion(shop: Shell) -> None:
    result = shop.clew("get", "vs", "reviws")
    assert result.exit_code == 1
    assert "there is no VirtualService default/reviws" in result.stderr
    assert 'did you mean "reviews"?' in result.stderr
    result = shop.clew("get", "virtualservce")
    assert result.exit_code == 2
    assert 'did you mean "virtualservice"?' in result.stderr
    assert shop.clew("get").exit_code == 2
