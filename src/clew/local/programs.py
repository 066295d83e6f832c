"""How a replica's program is started: its command, environment and probes from the manifest."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clew.agent.spec import AppSpec
from clew.local.images import Images, find_command
from clew.local.workloads import Workload
from clew.model.base import Resource, ResourceKey
from clew.model.config_map import ConfigMap
from clew.model.pod import Container, EnvironmentVariable, KeyReference
from clew.model.secret import Secret

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


class CannotRun(Exception):
    """The workload cannot run here as it is written; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a container's environment may refer to. ``inherited``: what every program gets."""

    images: Images
    resources: Mapping[ResourceKey, Resource]
    inherited: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One replica's own values, for fieldRef. ``listening``: as ``listening_ports`` says."""

    name: str
    address: str
    labels: Mapping[str, str]
    listening: Mapping[int, int] = field(default_factory=dict)


def container_command(workload: Workload, images: Images) -> tuple[str, ...]:
    """Return the command of the workload's only container, its references not expanded.

    ``command`` is used as it is; an image stands for its mapped command, with ``args`` behind.

    Raises:
        CannotRun: no or several containers, or an image that nothing is known of.
    """
    container = the_container(workload)
    if container.command:
        return (*container.command, *container.args)
    mapped = find_command(images, container.image)
    if mapped is None:
        raise CannotRun(_no_command(workload, container))
    return (*mapped, *container.args)


def check_program(workload: Workload, images: Images, *, path: str, directory: str) -> None:
    """See that the workload's program is on this machine. Raises: CannotRun."""
    program = container_command(workload, images)[0]
    container = the_container(workload)
    place = Path(directory, container.working_dir)
    if not place.is_dir():
        raise CannotRun(
            f"container {container.name!r} has workingDir {container.working_dir}, which is no "
            "directory on this machine.\n  hint: leave it out, or name one that exists"
        )
    path = next((v.value for v in container.env if v.name == "PATH" and v.value), path)
    if "$" in program or shutil.which(place / program if "/" in program else program, path=path):
        return
    raise CannotRun(
        f"container {container.name!r} runs {program!r}, which is no program on this machine.\n"
        f"  hint: install it, name it by its path, or set another command in the manifest or, for "
        f"an image, by --image '{container.image or 'IMAGE'}=COMMAND'"
    )


def _no_command(workload: Workload, container: Container) -> str:
    image = container.image or "(none)"
    return (
        f"container {container.name!r} has no command, and no local program is known for its "
        f"image {image}.\n"
        f"  hint: map the image:  --image '{container.image or 'IMAGE'}=COMMAND'  (or a line "
        f"`{container.image or 'IMAGE'}: COMMAND` in a file for --images),\n"
        f"        or set spec.template.spec.containers[0].command in the manifest"
    )


def the_container(workload: Workload) -> Container:
    containers = workload.template.spec.containers
    if len(containers) == 1:
        return containers[0]
    if not containers:
        raise CannotRun("it has no container.\n  hint: add one to spec.template.spec.containers")
    names = ", ".join(container.name for container in containers)
    raise CannotRun(
        f"it has {len(containers)} containers ({names}), and a replica on this machine is one "
        "program beside one proxy.\n"
        "  hint: make each of them a Deployment of its own, or start them from one script"
    )


def app_spec(workload: Workload, place: Place, surroundings: Surroundings) -> AppSpec:
    """Return what the agent is to run. Raises: CannotRun."""
    container = the_container(workload)
    spec = workload.template.spec
    env = environment(workload, place, surroundings)
    command = container_command(workload, surroundings.images)
    return AppSpec(
        command=tuple(expand(word, env) for word in command),
        env=env,
        working_dir=container.working_dir,
        # Whether one of UDP is served cannot be asked.
        ports={
            p.name or str(p.container_port): p.container_port
            for p in container.ports
            if p.protocol == "TCP"
        },
        readiness=container.readiness_probe,
        liveness=container.liveness_probe,
        startup=container.startup_probe,
        grace_seconds=(
            30
            if spec.termination_grace_period_seconds is None
            else spec.termination_grace_period_seconds
        ),
        restart=spec.restart_policy in ("", "Always"),
    )


def environment(workload: Workload, place: Place, surroundings: Surroundings) -> dict[str, str]:
    """Return all variables of the program; later ones may refer to earlier ones.

    PORT is where it must listen; a manifest that says PORT itself means the container's port.

    Source: Kubernetes: ``envFrom`` first, then ``env``; ``$(NAME)`` is replaced, ``$$`` is ``$``.
    """
    container = the_container(workload)
    ports = [str(place.listening.get(p.container_port, p.container_port)) for p in container.ports]
    env = {
        **surroundings.inherited,
        "HOSTNAME": place.name,
        **({"PORT": ports[0]} if ports else {}),
    }
    for source in container.env_from:
        for reference, kind in (
            (source.config_map_ref, "ConfigMap"),
            (source.secret_ref, "Secret"),
        ):
            if reference is not None:
                found = _values(workload, kind, reference.name, surroundings)
                if found is None and not reference.optional:
                    raise CannotRun(_no_object(workload, kind, reference.name))
                env |= {source.prefix + key: value for key, value in (found or {}).items()}
    for variable in container.env:
        for value in _value(workload, variable, place, surroundings, env):
            env[variable.name] = value
    return env | _moved_port(env, place)


def _moved_port(env: Mapping[str, str], place: Place) -> dict[str, str]:
    moved = {str(port): str(number) for port, number in place.listening.items()}
    return {"PORT": moved[env["PORT"]]} if env.get("PORT") in moved else {}


def _value(
    workload: Workload,
    variable: EnvironmentVariable,
    place: Place,
    surroundings: Surroundings,
    env: Mapping[str, str],
) -> Iterator[str]:
    """The variable's value; none when it is optional and missing."""
    source = variable.value_from
    if source is None:
        yield expand(variable.value, env)
    elif source.field_ref is not None:
        yield _field(workload, place, source.field_ref.field_path)
    elif source.config_map_key_ref is not None:
        yield from _key(workload, "ConfigMap", source.config_map_key_ref, surroundings)
    elif source.secret_key_ref is not None:
        yield from _key(workload, "Secret", source.secret_key_ref, surroundings)
    else:
        raise CannotRun(
            f"variable {variable.name}: only fieldRef, configMapKeyRef and secretKeyRef are "
            "known in valueFrom.\n  hint: give it a plain value"
        )


def _field(workload: Workload, place: Place, path: str) -> str:
    values = {
        "metadata.name": place.name,
        "metadata.namespace": workload.namespace,
        "status.podIP": place.address,
        "status.hostIP": place.address,
        "spec.nodeName": "localhost",
        "spec.serviceAccountName": service_account(workload),
    }
    if path in values:
        return values[path]
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if match is None:
        raise CannotRun(f"fieldRef {path!r} is not known.\n  hint: known: {', '.join(values)}")
    annotations = workload.template.metadata.annotations
    return (place.labels if match[1] == "labels" else annotations).get(match[2], "")


def service_account(workload: Workload) -> str:
    return workload.template.spec.service_account_name or "default"


def _key(
    workload: Workload, kind: str, reference: KeyReference, surroundings: Surroundings
) -> Iterator[str]:
    values = _values(workload, kind, reference.name, surroundings)
    if values is not None and reference.key in values:
        yield values[reference.key]
    elif not reference.optional:
        if values is None:
            raise CannotRun(_no_object(workload, kind, reference.name))
        raise CannotRun(f"{kind} {workload.namespace}/{reference.name} has no key {reference.key}")


def _no_object(workload: Workload, kind: str, name: str) -> str:
    return (
        f"it takes variables from {kind} {workload.namespace}/{name}, which does not exist.\n"
        f"  hint: apply it; the workload starts as soon as it is there"
    )


def _values(
    workload: Workload, kind: str, name: str, surroundings: Surroundings
) -> dict[str, str] | None:
    found = surroundings.resources.get(ResourceKey("", kind, workload.namespace, name))
    if isinstance(found, ConfigMap):
        return found.data
    if isinstance(found, Secret):
        decoded = {key: _decode(key, value) for key, value in found.data.items()}
        return decoded | found.string_data
    return None


def _decode(key: str, value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise CannotRun(f"the Secret's key {key} is no base64 text") from None


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; what is not known stays as it is written.

    Source: Kubernetes' expansion of command, args and env.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)
