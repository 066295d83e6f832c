"""How commands print: tables as kubectl's, YAML and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec
import yaml

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def output_option(*formats: str) -> Decorator:
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=None, help="The format."
    )


def echo_value(value: Any, output: str) -> None:
    """Print a message or manifest as JSON or YAML."""
    plain = msgspec.to_builtins(value)
    click.echo(as_json(plain) if output == "json" else as_yaml(plain), nl=False)


def as_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def as_yaml(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True
    )
    return text


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows, the first of them headers, in columns three spaces apart."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def age(timestamp: str, now: datetime) -> str:
    """``45s``, ``12m``, ``3h``, ``5d``, as kubectl rounds; ``<unknown>`` without a time."""
    try:
        since = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return "<unknown>"
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    passed = max(now - since, timedelta(0))
    seconds = int(passed.total_seconds())
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h" if seconds < 172_800 else f"{seconds // 86_400}d"


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, lists indented as people write them, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
