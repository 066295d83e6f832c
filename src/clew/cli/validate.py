"""``clew validate``: check files, without a mesh."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "-f", "files", multiple=True, required=True, type=click.Path(exists=True, path_type=Path)
)
def command(files: tuple[Path, ...]) -> None:
    """Check Istio and Kubernetes manifests and explain every problem.

    Exits with 0 when there is no error, with 1 otherwise.
    """
    from clew.config.parse import parse_documents

    documents = [d for f in files for d in parse_documents(f.read_text(), str(f))]
    for diagnostic in (x for d in documents for x in d.diagnostics):
        click.echo(str(diagnostic))
    bad = sum(not d.valid for d in documents)
    click.echo(f"{len(documents)} documents, {bad} with errors")
    raise SystemExit(1 if bad else 0)
