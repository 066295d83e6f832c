"""``clew validate``: check files, without a mesh."""

from __future__ import annotations

from typing import Any

import click
import msgspec
import yaml

from clew.cli.files import read_files
from clew.config.parse import Document, parse_documents
from clew.model.diagnostic import Severity


@click.command()
@click.option(
    "-f", "--filename", "names", multiple=True, required=True, help="File, directory, or - ."
)
@click.option("-R", "--recursive", is_flag=True, help="Look into directories below, too.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Print for programs.")
def command(names: tuple[str, ...], recursive: bool, output: str | None) -> None:
    """Check Istio and Kubernetes manifests and explain every problem.

    Exits with 0 when there is no error, with 1 when there is one, with 2 on wrong usage.
    """
    texts = read_files(names, recursive=recursive)
    documents = [d for name, text in texts for d in parse_documents(text, name)]
    if output is None:
        _print_for_people(documents)
    else:
        _print_for_programs([_verdict(d) for d in documents], output)
    raise SystemExit(0 if all(d.valid for d in documents) else 1)


def _print_for_people(documents: list[Document]) -> None:
    for diagnostic in (x for d in documents for x in d.diagnostics):
        click.echo(str(diagnostic))
    bad = sum(not d.valid for d in documents)
    count = f"{len(documents)} document{'' if len(documents) == 1 else 's'}"
    click.echo(f"{count}, {bad} with errors")


def _print_for_programs(verdicts: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(verdicts)).decode())
    else:
        click.echo(yaml.safe_dump(verdicts, sort_keys=False), nl=False)


def _verdict(document: Document) -> dict[str, Any]:
    """One entry of the offline contract; its keys are stable."""
    metadata = document.manifest.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    return {
        "kind": str(document.manifest.get("kind", "")),
        "namespace": str(names.get("namespace", "")),
        "name": str(names.get("name", "")),
        "valid": document.valid,
        "errors": _findings(document, Severity.ERROR),
        "warnings": _findings(document, Severity.WARNING),
    }


def _findings(document: Document, severity: Severity) -> list[dict[str, Any]]:
    return [
        {
            "path": d.place.field,
            "line": d.place.line,
            "column": d.place.column,
            "message": f"{d.problem}; {d.hint}" if d.hint else d.problem,
        }
        for d in document.diagnostics
        if d.severity is severity
    ]
