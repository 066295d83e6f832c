from pathlib import Path

import pytest

from clew.local.programs import (
    CannotRun,
    Place,
    Surroundings,
    app_spec,
    check_program,
    container_command,
    environment,
    expand,
)
from clew.local.workloads import Workload
from tests.local.objects import resources, web, with_container

IMAGES = {"acme/web": ("python", "web.py")}
PLACE = Place(name="web-0", address="10.0.0.9", labels={"app": "web"})
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
data: {key: c2VjcmV0}
stringData: {word: open}
"""


def surroundings(text: str = "") -> Surroundings:
    return Surroundings(images=IMAGES, resources=resources(text), inherited={"PATH": "/bin"})


def variables(workload: Workload, text: str = CONFIG, place: Place = PLACE) -> dict[str, str]:
    return environment(workload, place, surroundings(text))


def test_an_image_stands_for_its_command_and_arguments_follow() -> None:
    assert container_command(web(), IMAGES) == ("python", "web.py", "--verbose")


def test_a_command_is_used_as_it_is_whatever_the_image() -> None:
    workload = with_container(command="[sleep]")
    assert container_command(workload, {}) == ("sleep", "--verbose")


def test_an_unknown_image_is_an_error_that_names_both_ways_to_fix_it() -> None:
    with pytest.raises(CannotRun) as caught:
        container_command(web(), {})
    for part in ("'web'", "acme/web:1", "--image 'acme/web:1=COMMAND'", "--images", ".command"):
        assert part in str(caught.value)


def test_several_containers_are_refused_by_name() -> None:
    workload = web(("      - name: web", "      - {name: side, image: b}\n      - name: web"))
    with pytest.raises(CannotRun, match=r"2 containers \(side, web\)"):
        container_command(workload, IMAGES)


def test_a_program_or_directory_that_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    def check(workload: Workload) -> None:
        check_program(workload, {}, path="/bin:/usr/bin", directory=str(tmp_path))

    check(with_container(command="[sleep]"))
    with pytest.raises(CannotRun, match="'no-such-program', which is no program"):
        check(with_container(command="[no-such-program]"))
    with pytest.raises(CannotRun, match="workingDir /no/such"):
        check(with_container(command="[sleep]", workingDir="/no/such"))
    with pytest.raises(CannotRun, match=r"\./tool"):
        check(with_container(command="[./tool]"))
    (tmp_path / "tool").touch(mode=0o755)
    check(with_container(command="[./tool]"))


def test_variables_come_from_the_pod_config_maps_and_secrets() -> None:
    env = (
        "[{name: A, value: a}, {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}},"
        " {name: APP, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}},"
        " {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}},"
        " {name: KEY, valueFrom: {secretKeyRef: {name: keys, key: key}}},"
        " {name: NONE, valueFrom: {secretKeyRef: {name: none, key: key, optional: true}}}]"
    )
    found = variables(with_container(env=env))
    assert found == {
        "PATH": "/bin", "HOSTNAME": "web-0", "PORT": "9000", "A": "a", "IP": "10.0.0.9",
        "APP": "web", "COLOUR": "blue", "KEY": "secret",
    }  # fmt: skip


def test_whole_config_maps_are_taken_with_a_prefix() -> None:
    source = "[{prefix: P_, configMapRef: {name: settings}}, {secretRef: {name: keys}}]"
    found = variables(with_container(envFrom=source))
    assert (found["P_colour"], found["word"]) == ("blue", "open")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{configMapKeyRef: {name: settings, key: size}}", "no key size"),
        ("{configMapKeyRef: {name: other, key: size}}", "ConfigMap shop/other, which does not"),
        ("{fieldRef: {fieldPath: status.nothing}}", "status.nothing"),
        ("{resourceFieldRef: {resource: limits.cpu}}", "only fieldRef"),
    ],
)
def test_a_variable_without_a_value_says_what_is_missing(source: str, problem: str) -> None:
    with pytest.raises(CannotRun, match=problem):
        variables(with_container(env=f"[{{name: A, valueFrom: {source}}}]"))


def test_port_follows_the_program_to_where_it_must_listen() -> None:
    moved = Place(name="web-0", address="127.9.9.9", labels={}, listening={9000: 21000})
    assert variables(web(), place=moved)["PORT"] == "21000"
    same = with_container(env="[{name: PORT, value: '9000'}]")
    assert variables(same, place=moved)["PORT"] == "21000"
    other = with_container(env="[{name: PORT, value: '1234'}]")
    assert variables(other, place=moved)["PORT"] == "1234"


def test_references_are_expanded_as_kubernetes_does() -> None:
    assert expand("$(A)-$$(A)-$(B)", {"A": "1"}) == "1-$(A)-$(B)"
    workload = with_container(command="[serve, $(PORT)]", env="[{name: U, value: http://$(PORT)}]")
    spec = app_spec(workload, PLACE, surroundings())
    assert spec.command == ("serve", "9000", "--verbose")
    assert spec.env["U"] == "http://9000"


def test_probes_ports_and_grace_are_taken_over() -> None:
    probe = "{httpGet: {path: /ready, port: http}, periodSeconds: 2}"
    spec = app_spec(with_container(readinessProbe=probe), PLACE, surroundings())
    assert spec.readiness is not None
    assert spec.readiness.period_seconds == 2
    assert (spec.ports, spec.grace_seconds, spec.restart) == ({"http": 9000}, 30, True)


def test_a_program_of_udp_is_not_waited_for_at_its_ports() -> None:
    workload = web(("containerPort: 9000", "containerPort: 9000, protocol: UDP"))
    assert app_spec(workload, PLACE, surroundings()).ports == {}
