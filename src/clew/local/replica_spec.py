"""What the agent of a replica is told, in a mesh with its settings and objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from clew.agent.spec import AgentSpec, AppSpec
from clew.local.agents import MeshPlace, Where, agent_spec, listening_ports, with_upstreams
from clew.local.programs import Place, Surroundings, app_spec, the_container
from clew.local.proxy_settings import with_proxy_settings
from clew.local.workloads import Workload, is_gateway, pod_labels
from clew.model.base import Resource
from clew.model.mesh_config import MeshConfig


def replica_spec(
    workload: Workload,
    where: Where,
    place: MeshPlace,
    surroundings: Surroundings,
    *,
    mesh: MeshConfig,
    take_port: Callable[[], int],
) -> AgentSpec:
    """Return the spec of a replica of a manifest's workload, with its program if it has one.

    Raises: CannotRun, PortTaken.
    """
    app, listening = None, dict[int, int]()
    if not is_gateway(workload.template):
        # Those of UDP its proxy leaves alone.
        ports = [p.container_port for p in the_container(workload).ports if p.protocol == "TCP"]
        listening = listening_ports(ports, place, take_port)
        here = Place(
            name=where.name,
            address=where.address,
            labels=pod_labels(workload),
            listening=listening,
        )
        app = app_spec(workload, here, surroundings)
    return configured_spec(
        workload,
        where,
        place,
        app,
        listening,
        mesh=mesh,
        resources=surroundings.resources.values(),
        take_port=take_port,
    )


def configured_spec(
    workload: Workload,
    where: Where,
    place: MeshPlace,
    app: AppSpec | None,
    listening: Mapping[int, int],
    *,
    mesh: MeshConfig,
    resources: Iterable[Resource],
    take_port: Callable[[], int],
) -> AgentSpec:
    """Return the spec of a replica that runs ``app``. ``resources``: ``proxy_settings.KINDS``.

    Raises: CannotRun.
    """
    spec = agent_spec(
        workload,
        where,
        place,
        app=app,
        listening=listening,
        trust_domain=mesh.trust_domain or "cluster.local",
        take_port=take_port,
    )
    annotations = workload.template.metadata.annotations
    return with_upstreams(with_proxy_settings(spec, annotations, resources, mesh))
