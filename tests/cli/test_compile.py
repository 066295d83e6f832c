"""``clew compile``: the offline contract."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from clew.cli.main import main

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.1.0.1
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web}]}
status: {podIP: 10.2.0.1, conditions: [{type: Ready, status: "True"}]}
"""
BAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken, namespace: shop}
spec: {hosts: [web], htpp: []}
"""
SIDECAR = ("--type", "sidecar", "--namespace", "shop", "--labels", "app=web,version=v1")


def run(*arguments: str, text: str) -> Result:
    return CliRunner().invoke(main, ["compile", "-f", "-", *arguments], input=text)


def test_resources_are_printed_by_type_with_proto_field_names_and_known_types() -> None:
    result = run(*SIDECAR, "-o", "json", text=f"{SERVICE}---\n{POD}")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert list(printed) == ["listeners", "routes", "clusters", "endpoints"]
    assert "outbound|80||web.shop.svc.cluster.local" in {c["name"] for c in printed["clusters"]}
    assert {r["name"] for r in printed["routes"]} >= {"80"}
    filters = [
        f for each in printed["listeners"] for c in each["filter_chains"] for f in c["filters"]
    ]
    assert all(each["typed_config"]["@type"].startswith("type.googleapis.com/") for each in filters)


def test_yaml_says_the_same_as_json() -> None:
    as_json = run(*SIDECAR, "-o", "json", text=SERVICE).stdout
    as_yaml = run(*SIDECAR, "-o", "yaml", text=SERVICE).stdout
    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_a_bad_object_is_reported_and_the_good_ones_are_compiled() -> None:
    result = run(*SIDECAR, text=f"{BAD}---\n{SERVICE}")
    assert result.exit_code == 1
    assert "htpp" in result.stderr
    names = {each["name"] for each in json.loads(result.stdout)["clusters"]}
    assert "outbound|80||web.shop.svc.cluster.local" in names


def test_the_mesh_config_of_a_file_holds(tmp_path: Path) -> None:
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n")
    result = run(*SIDECAR, "--mesh-config", str(mesh), text=SERVICE)
    (virtual,) = [
        x for x in json.loads(result.stdout)["listeners"] if x["name"] == "virtualOutbound"
    ]
    assert "BlackHoleCluster" in json.dumps(virtual)


def test_wrong_labels_types_and_addresses_are_wrong_usage() -> None:
    assert run("--type", "sidecar", "--namespace", "a", "--labels", "app", text="").exit_code == 2
    assert run("--type", "waypoint", "--namespace", "a", text="").exit_code == 2
    wrong = run(*SIDECAR, "--ip", "web", text=SERVICE)
    assert wrong.exit_code == 2
    assert '"web" is not an IP address' in wrong.output


def test_an_object_without_a_namespace_belongs_to_default() -> None:
    text = SERVICE.replace(", namespace: shop", "")
    result = run("--type", "sidecar", "--namespace", "default", text=text)
    assert "outbound|80||web.default.svc.cluster.local" in result.stdout


def test_a_proxys_own_settings_are_part_of_what_it_gets() -> None:
    own = "{proxyHeaders: {server: {value: mine}}}"
    found = run(*SIDECAR, "--proxy-config", own, text=SERVICE + "---\n" + POD)
    assert found.exit_code == 0
    assert '"server_name": "mine"' in found.stdout
    assert '"server_name": "istio-envoy"' not in found.stdout
    wrong = run(*SIDECAR, "--proxy-config", "{concurrency: many, drainDurration: 1s}", text=SERVICE)
    assert wrong.exit_code == 2
    assert "--proxy-config" in wrong.stderr
    assert 'concurrency: expected a whole number, got "many"' in wrong.stderr
    assert 'did you mean "drainDuration"?' in wrong.stderr


def test_a_proxys_own_settings_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("proxyHeaders: {server: {value: mine}}\nbinaryPath: /bin/envoy\n")
    found = run(*SIDECAR, "--proxy-config", str(file), text=SERVICE + "---\n" + POD)
    assert found.exit_code == 0
    assert '"server_name": "mine"' in found.stdout
    assert "binaryPath: not supported: ignored" in found.stderr
