"""``clew compile``: what a proxy would get from these files, without a mesh."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import msgspec

from clew.cli.files import read_files
from clew.cli.output import echo_value
from clew.config import yaml
from clew.config.parse import parse_documents, parse_mesh_config, parse_proxy_settings
from clew.model.addresses import is_ip
from clew.model.base import Resource
from clew.model.diagnostic import Diagnostic, Severity
from clew.model.kinds import kind_for
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception, Proxy, ProxyType
from clew.model.service import Locality


def _labels(_context: click.Context, _option: click.Parameter, text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise click.BadParameter(f'"{text}" is not of the form key=value,key=value')
    return {key: value for key, _, value in pairs}


def _ip(_context: click.Context, _option: click.Parameter, text: str) -> str:
    if not is_ip(text):
        raise click.BadParameter(f'"{text}" is not an IP address')
    return text


def _locality(_context: click.Context, _option: click.Parameter, text: str) -> Locality:
    if text.count("/") > 2:
        raise click.BadParameter(f'"{text}" is not of the form region/zone/subzone')
    return Locality.parse(text)


def _proxy_config(_context: click.Context, _option: click.Parameter, given: str) -> str:
    """Return the settings as a proxy says them of itself, in JSON."""
    try:
        text = Path(given).read_text(encoding="utf-8") if os.path.isfile(given) else given
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot read {given}: {error}") from error
    _, found = parse_proxy_settings(text)
    if problems := [str(each) for each in found if each.severity is Severity.ERROR]:
        raise click.BadParameter("\n".join(problems))
    for each in found:
        click.echo(str(each), err=True)
    settings = yaml.without_nulls(yaml.load(text))
    return json.dumps(settings, sort_keys=True) if settings else ""


@click.command()
@click.option(
    "-f", "--filename", "names", multiple=True, required=True, help="File, directory, or - ."
)
@click.option("-R", "--recursive", is_flag=True, help="Look into directories below, too.")
@click.option(
    "--mesh-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="MeshConfig in YAML; without it that of ConfigMap istio among the files.",
)
@click.option(
    "--type",
    "proxy_type",
    type=click.Choice([each.value for each in ProxyType]),
    required=True,
    help="A workload's sidecar, or a gateway.",
)
@click.option("--namespace", required=True, help="The namespace that the proxy is in.")
@click.option("--name", default="proxy", show_default=True, help="The workload's name.")
@click.option(
    "--ip", default="10.0.0.1", show_default=True, callback=_ip, help="The workload's address."
)
@click.option("--labels", default="", callback=_labels, help="Its labels: key=value,key=value.")
@click.option("--service-account", default="default", show_default=True, help="Its identity.")
@click.option("--locality", default="", callback=_locality, help="region/zone/subzone.")
@click.option("--network", default="", help="The network that it is in.")
@click.option(
    "--interception",
    type=click.Choice([each.value for each in Interception]),
    default=Interception.REDIRECT.value,
    show_default=True,
    help="How its traffic is captured.",
)
@click.option(
    "--proxy-config",
    default="",
    callback=_proxy_config,
    metavar="FILE|YAML",
    help="Its own settings, as in the annotation proxy.istio.io/config.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "yaml"]),
    default="json",
    show_default=True,
    help="The format.",
)
def command(
    names: tuple[str, ...],
    recursive: bool,
    mesh_config: Path | None,
    output: str,
    **described: Any,
) -> None:
    """Print the listeners, routes, clusters and endpoints that Envoy would get.

    Objects with errors are left out and reported; everything else is compiled.

    Exits with 0 when every object was good, with 1 when one was not, with 2 on wrong usage.
    """
    from clew.compile.config_dump import config_dump
    from clew.compile.memo import Memo
    from clew.compile.proxy import compile_proxy
    from clew.snapshot.scope_builder import build_scope
    from clew.snapshot.snapshot import build_snapshot

    mesh, about_mesh = _read_mesh_config(mesh_config)
    documents = [
        document
        for name, text in read_files(names, recursive=recursive)
        for document in parse_documents(text, name)
    ]
    resources = [_placed(d.resource) for d in documents if d.valid and d.resource is not None]
    found = [*about_mesh, *(each for d in documents for each in d.diagnostics)]
    scope = build_scope(build_snapshot(resources, mesh), _proxy(**described))
    echo_value(config_dump(compile_proxy(scope, Memo())), output)
    for diagnostic in found:
        click.echo(str(diagnostic), err=True)
    raise SystemExit(1 if any(d.severity is Severity.ERROR for d in found) else 0)


def _read_mesh_config(path: Path | None) -> tuple[MeshConfig | None, tuple[Diagnostic, ...]]:
    if path is None:
        return None, ()
    try:
        return parse_mesh_config(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {error}") from error


def _placed(resource: Resource) -> Resource:
    """The object in the namespace ``default`` if it names none, as ``apply`` would put it."""
    kind = kind_for(resource.api_version, resource.kind)
    if resource.metadata.namespace or kind is None or not kind.namespaced:
        return resource
    metadata = msgspec.structs.replace(resource.metadata, namespace="default")
    return msgspec.structs.replace(resource, metadata=metadata)


def _proxy(
    *,
    proxy_type: str,
    namespace: str,
    name: str,
    ip: str,
    labels: dict[str, str],
    service_account: str,
    locality: Locality,
    network: str,
    interception: str,
    proxy_config: str,
) -> Proxy:
    return Proxy(
        type=ProxyType(proxy_type),
        namespace=namespace,
        name=name,
        ip=ip,
        labels=tuple(sorted(labels.items())),
        service_account=service_account,
        locality=locality,
        network=network,
        interception=Interception(interception),
        config=proxy_config,
    )
