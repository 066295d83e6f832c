"""``clew describe``: one object, its effect and its problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from clew.api.client import Client
from clew.api.messages import History, ObjectStatus
from clew.api.requests import manifest_key
from clew.cli.connection import connected, mesh_option, namespace_option
from clew.cli.get import existing
from clew.cli.history import render as render_history
from clew.cli.output import age, as_yaml, echo_value, output_option
from clew.cli.references import key_in, one_reference
from clew.model.base import ResourceKey

_LAST_CHANGES = 5


@click.command("describe")
@click.argument("arguments", nargs=-1, metavar="KIND NAME")
@namespace_option
@output_option("json", "yaml")
@mesh_option
def command(arguments: tuple[str, ...], namespace: str, output: str | None, mesh: str) -> None:
    """One object: what it says, whether the proxies have it, its problems and last changes.

    \b
    Example:
        clew describe vs reviews
    """
    kind, name = one_reference(arguments)
    key = key_in(kind, namespace, name)
    with connected(mesh) as client:
        manifest = existing(client, key, kind)
        history = client.history(key)
        reported = [f.text for f in client.problems().problems if f.object == str(key)]
        standing = _standing(client, key)
    found = [f.text for f in standing.findings] if standing is not None else []
    problems = list(dict.fromkeys([*_problems_of(manifest), *reported, *found]))
    if output is not None:
        described = {
            "object": manifest,
            "inForce": standing,
            "problems": problems,
            "history": history.items,
        }
        echo_value(described, output)
    else:
        click.echo(render(manifest, problems, standing, history, datetime.now(UTC)))


def render(
    manifest: Mapping[str, Any],
    problems: Sequence[str],
    standing: ObjectStatus | None,
    history: History,
    now: datetime,
) -> str:
    """Sections in the order in which people ask: what is it, does it work, who changed it."""
    content = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind", "metadata")}
    lines = [*_metadata(manifest, now), as_yaml(_titled(content)).rstrip()]
    if standing is not None:
        lines += ["In force:", *_indented(_in_force(standing))]
    lines += ["Problems:", *_indented(problems or ["none"])]
    if history.items:
        # One more than is shown, so that the oldest has something to be compared with.
        shown = render_history(history.items[: _LAST_CHANGES + 1], now).splitlines()
        lines += ["Changes:", *_indented(shown[: _LAST_CHANGES + 1])]
    return "\n".join(lines)


def _metadata(manifest: Mapping[str, Any], now: datetime) -> list[str]:
    metadata, key = manifest["metadata"], manifest_key(manifest)
    created = metadata.get("creationTimestamp", "")
    pairs = [
        ("Name", key.name),
        ("Namespace", key.namespace or "-"),
        ("Kind", f"{key.kind} ({manifest['apiVersion']})"),
        ("Labels", _mapping(metadata.get("labels"))),
        ("Annotations", _mapping(metadata.get("annotations"))),
        ("Created", f"{created} ({age(created, now)} ago)" if created else "-"),
        ("Generation", str(metadata.get("generation", "-"))),
        ("Revision", str(metadata.get("resourceVersion", "-"))),
    ]
    return [f"{title + ':':<14}{value}" for title, value in pairs]


def _mapping(value: Mapping[str, str] | None) -> str:
    return f"\n{'':<14}".join(f"{k}={v}" for k, v in (value or {}).items()) or "<none>"


def _titled(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name[:1].upper() + name[1:]: value for name, value in content.items()}


def _standing(client: Client, key: ResourceKey) -> ObjectStatus | None:
    """What is known of the object; None for what proxies are not told of."""
    from clew.server.standing import is_acknowledged

    return client.object_status(key) if is_acknowledged(key) else None


def _in_force(standing: ObjectStatus) -> list[str]:
    lines = [standing.summary]
    if standing.waiting and standing.state != "held":
        lines.append(f"without it: {', '.join(standing.waiting)}")
    return lines


def _problems_of(manifest: Mapping[str, Any]) -> list[str]:
    from clew.config.parse import parse_manifest

    return [str(found) for found in parse_manifest(manifest).diagnostics]


def _indented(texts: Sequence[str]) -> list[str]:
    return [f"  {line}" for text in texts for line in text.splitlines()]
