"""What `clew up` is asked for, and whether that can work, before anything is started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clew.agent.spec import Capture
from clew.config.parse import Document, parse_documents
from clew.local.images import Images
from clew.local.programs import CannotRun, check_program
from clew.local.workloads import Workload, is_gateway, workloads
from clew.model.diagnostic import Severity

DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """``manifests``: (file name, text). ``port``: of the ingress; None: 8080 or the next free one.

    ``keep``: go on with the objects of the last run rather than none.
    """

    mesh: str = ""
    manifests: tuple[tuple[str, str], ...] = ()
    images: Images = field(default_factory=dict)
    capture: Capture | None = None
    port: int | None = None
    strict: bool = False
    keep: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"


class BadManifests(Exception):
    """The manifests cannot be run; the message lists everything that is wrong."""


def check_manifests(options: UpOptions) -> tuple[Workload, ...]:
    """Return the workloads of the manifests, if all of it is valid and can run here.

    Raises:
        BadManifests: listing every problem, not the first only.
    """
    found: list[Workload] = []
    problems: list[str] = []
    for file, text in options.manifests:
        for document in parse_documents(text, file):
            problems += [str(d) for d in document.diagnostics if d.severity is Severity.ERROR]
            for workload in _workloads(document):
                found.append(workload)
                problems += _problems(workload, document, file, options)
    if problems:
        raise BadManifests("\n".join(problems) + "\nNothing was started.")
    return tuple(found)


def _workloads(document: Document) -> Iterable[Workload]:
    if document.resource is None or not document.valid:
        return ()
    return workloads([(document.resource, document.manifest)])


def _problems(
    workload: Workload, document: Document, file: str, options: UpOptions
) -> Iterator[str]:
    if is_gateway(workload.template):
        return
    try:
        check_program(
            workload,
            options.images,
            path=options.environ.get("PATH", os.defpath),
            directory=options.working_dir,
        )
    except CannotRun as error:
        template = () if workload.owner.kind == "Pod" else ("template", "spec")
        line, column = document.locate(("spec", *template, "containers"))
        place = f"{file}:{line}:{column}" if line else file
        name = f"{workload.owner.kind} {workload.namespace or 'default'}/{workload.name}"
        yield f"{place}: Error {name}\n  {error}"
