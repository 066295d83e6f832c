from ipaddress import IPv4Network
from itertools import count
from pathlib import Path

from clew.agent.spec import AgentSpec, AppSpec, Capture
from clew.config.parse import parse_manifest
from clew.local.agents import (
    UPSTREAMS,
    MeshPlace,
    Where,
    agent_spec,
    fixed_address,
    listening_ports,
    runs_outside,
    with_upstreams,
)
from clew.local.ingress import ingress_manifests
from clew.local.network import MeshNetwork
from clew.local.workloads import Workload, workloads
from tests.local.objects import web

SUBNET = IPv4Network("10.200.0.0/22")
APP = AppSpec(command=("web",), ports={"http": 9000})


def place(*, captured: bool = True, user_namespace: bool = False) -> MeshPlace:
    directory = Path("/state/m")
    network = MeshNetwork(
        holder=1, user_namespace=user_namespace, subnet=SUBNET, directory=directory, environ={}
    )
    return MeshPlace(
        mesh="m",
        directory=directory,
        subnet=SUBNET,
        network=network if captured else None,
        environ={},
        working_dir="/",
    )


def spec(workload: Workload, where: MeshPlace, app: AppSpec | None = APP) -> AgentSpec:
    ports = count(20000)
    take = ports.__next__
    return agent_spec(
        workload,
        Where(name="web-0", address="10.200.0.10", outside=runs_outside(workload, where)),
        where,
        app=app,
        listening=listening_ports(app.ports.values() if app else (), where, take),
        trust_domain="cluster.local",
        take_port=take,
    )


def gateway() -> Workload:
    deployment, _ = ingress_manifests(http=8080, https=8443, tcp=31400)
    resource = parse_manifest(deployment).resource
    assert resource is not None
    (workload,) = workloads([(resource, deployment)])
    return workload


def test_a_captured_sidecar_has_the_well_known_ports_and_the_machines_names() -> None:
    made = spec(web(), place())
    assert (made.type, made.capture) == ("sidecar", Capture.NETNS)
    assert (made.readiness_port, made.dns_port, made.http_proxy_port) == (15021, 15053, 0)
    assert made.app_ports == {}
    assert made.dns_upstreams == ("10.200.0.1",)
    assert made.xds == "unix:/state/m/xds.sock"


def test_without_capture_every_port_is_chosen_and_the_program_listens_elsewhere() -> None:
    made = spec(web(), place(captured=False))
    assert made.capture is Capture.ENV
    chosen = (made.readiness_port, made.prometheus_port, made.http_proxy_port)
    assert min(chosen) >= 20000
    assert len({*chosen, *made.app_ports.values()}) == 4
    assert set(made.app_ports) == {"9000"}
    assert made.dns_port == 0


def test_declared_upstreams_get_ports_that_the_program_is_told() -> None:
    text = f"labels: {{app: web, version: v1}}, annotations: {{{UPSTREAMS}: 'db:27017, mq.x:5672'}}"
    workload = web(("labels: {app: web, version: v1}", text))
    made = with_upstreams(spec(workload, place(captured=False)))
    assert set(made.local_ports) == {"db:27017", "mq.x:5672"}
    assert made.app is not None
    assert made.app.env["UPSTREAM_DB_27017"] == made.local_ports["db:27017"]
    assert spec(workload, place()).local_ports == {}


def test_roots_gateway_is_in_the_machines_network_and_others_are_in_the_meshs() -> None:
    made = spec(gateway(), place(), app=None)
    assert (made.type, made.capture, made.bind_address) == ("router", Capture.NONE, "127.0.0.1")
    assert made.readiness_port != 15021
    inside = spec(gateway(), place(user_namespace=True), app=None)
    assert (inside.bind_address, inside.readiness_port) == ("", 15021)


def test_the_gateways_address_is_reserved() -> None:
    assert fixed_address(gateway(), place()) == "10.200.0.2"
    assert fixed_address(web(), place()) == ""
