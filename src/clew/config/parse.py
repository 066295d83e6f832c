"""Text to typed resources or diagnostics: every structural error of a document at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from clew.config import yaml
from clew.config.finding import FieldPath, Finding
from clew.config.settings import (
    check_texts,
    read_mesh_config,
    read_mesh_networks,
    read_proxy_settings,
)
from clew.config.structure import convert, did_you_mean
from clew.config.validate.crd_limits import check_limits, check_nulls
from clew.config.validate.hosts import is_dns_label, is_object_name
from clew.config.validate.resource import validate_resource
from clew.config.validate.unsupported import check_support
from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic, Place, Severity
from clew.model.kinds import KINDS, Kind, kind_for
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_networks import MeshNetworks
from clew.model.mesh_proxy_config import MeshProxyConfig

T = TypeVar("T")
Locate = Callable[[FieldPath], tuple[int, int]]

_WRONG_NAME = "a name is up to 253 of a-z, 0-9, '-' and '.', with a letter or digit at both ends"
_NO_USE = "clew does nothing with it: leave the document out"
_WRONG_NAMESPACE = "a name is up to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One manifest. ``resource`` is None if its structure is wrong.

    ``locate`` gives line and column of a field path, (0, 0) where there is no text.
    """

    resource: Resource | None
    manifest: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...]
    locate: Locate

    @property
    def valid(self) -> bool:
        return all(d.severity is not Severity.ERROR for d in self.diagnostics)


def parse_documents(text: str, file: str = "") -> tuple[Document, ...]:
    """Read every document of a YAML or JSON text; empty ones are left out, lists taken apart."""
    return tuple(
        document
        for before, part in yaml.split_documents(text)
        for document in _parse_text(part, before, file)
    )


def parse_manifest(manifest: Mapping[str, Any], file: str = "") -> Document:
    """Read one manifest that is decoded already, as from JSON."""
    return _parse(manifest, (), _nowhere, file, from_text=False)


def parse_mesh_config(text: str, file: str = "") -> tuple[MeshConfig, tuple[Diagnostic, ...]]:
    """Read MeshConfig from YAML. With errors in its structure, the defaults are returned."""
    mesh, diagnostics = _parse_settings(text, file, read_mesh_config)
    return mesh or MeshConfig(), diagnostics


def parse_mesh_networks(text: str, file: str = "") -> tuple[MeshNetworks, tuple[Diagnostic, ...]]:
    """Read MeshNetworks from YAML. With errors in its structure, there are none."""
    networks, diagnostics = _parse_settings(text, file, read_mesh_networks)
    return networks or MeshNetworks(), diagnostics


def parse_proxy_settings(
    text: str, file: str = ""
) -> tuple[MeshProxyConfig | None, tuple[Diagnostic, ...]]:
    """Read a proxy's own settings, as in its workload's annotation, from YAML."""
    return _parse_settings(text, file, read_proxy_settings)


def _parse_settings(
    text: str, file: str, read: Callable[[Any], tuple[T | None, list[Finding]]]
) -> tuple[T | None, tuple[Diagnostic, ...]]:
    def locate(path: FieldPath) -> tuple[int, int]:
        return yaml.locate(text, path)

    try:
        value = yaml.without_nulls(yaml.load(text) or {})
    except yaml.BadYaml as error:
        place = Place(file, error.line, error.column)
        problem = Diagnostic(severity=Severity.ERROR, place=place, problem=error.problem)
        return None, (problem,)
    settings, findings = read(value)
    return settings, tuple(_placed(f, locate, (), None, file) for f in findings)


def unsupported_fields(resource: Resource) -> tuple[Diagnostic, ...]:
    """Return a warning of each field that the object sets and that has no effect."""
    found = check_support(resource)
    return tuple(_placed(each, _nowhere, (), resource.key, "") for each in found)


def field_text(path: FieldPath) -> str:
    """``("spec", "http", 0, "timeout")`` → ``spec.http[0].timeout``"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _nowhere(path: FieldPath) -> tuple[int, int]:
    return 0, 0


def _parse_text(part: str, before: int, file: str) -> Iterator[Document]:
    def locate(path: FieldPath) -> tuple[int, int]:
        line, column = yaml.locate(part, path)
        return line + before, column

    try:
        value = yaml.load(part)
        if value is None:
            return
        if not isinstance(value, dict):
            raise yaml.BadYaml("expected an object with apiVersion and kind", 1, 1)
    except yaml.BadYaml as error:
        place = Place(file, error.line + before, error.column)
        problem = Diagnostic(severity=Severity.ERROR, place=place, problem=error.problem)
        yield Document(resource=None, manifest={}, diagnostics=(problem,), locate=locate)
        return
    items = value.get("items")
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        for index, item in enumerate(items):
            yield _parse(item, ("items", index), locate, file)
    else:
        yield _parse(value, (), locate, file)


def _parse(
    given: Any, at: FieldPath, locate: Locate, file: str, *, from_text: bool = True
) -> Document:
    def place(path: FieldPath) -> tuple[int, int]:
        return locate((*at, *path))

    manifest: Mapping[str, Any] = {}
    resource: Resource | None = None
    try:
        if not isinstance(given, dict):
            raise yaml.BadYaml("expected an object with apiVersion and kind", 1, 1)
        # Nulls are rare in what another program wrote, and most of them do no harm.
        manifest = yaml.without_nulls(given) if from_text else given
        resource, findings = _read(manifest, given)
        if resource is None and (plain := yaml.without_nulls(manifest)) is not manifest:
            manifest = plain
            resource, findings = _read(manifest, given)
    except yaml.BadYaml as error:
        findings = [Finding((), error.problem)]
    key = _key(manifest)
    diagnostics = tuple(_placed(f, place, (), key, file) for f in findings)
    return Document(resource=resource, manifest=manifest, diagnostics=diagnostics, locate=place)


def _read(
    manifest: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[Resource | None, list[Finding]]:
    """Convert and check a manifest; ``given`` is the same with its nulls."""
    kind = kind_for(str(manifest.get("apiVersion")), str(manifest.get("kind")))
    if kind is None:
        return None, [_unknown_kind(manifest)]
    resource, findings = convert(kind.type, manifest)
    if resource is None:
        return None, findings
    findings = [*_check_name(kind, resource), *validate_resource(resource)]
    findings += check_texts(resource)
    if kind.group.endswith(".istio.io"):
        findings += check_limits(kind.kind, manifest.get("spec"))
        if manifest is not given:
            findings += check_nulls(kind.kind, given.get("spec"))
    return resource, findings


def _check_name(kind: Kind, resource: Resource) -> Iterator[Finding]:
    """Names become names of files and processes, so Kubernetes' rule for them holds here too."""
    meta = resource.metadata
    if not meta.name and not meta.generate_name:
        yield Finding(("metadata",), 'the field "name" is missing')
    elif not is_object_name(meta.name or meta.generate_name.rstrip("-")):
        field = "name" if meta.name else "generateName"
        yield Finding(("metadata", field), _WRONG_NAME)
    if meta.namespace and kind.namespaced and not is_dns_label(meta.namespace):
        yield Finding(("metadata", "namespace"), _WRONG_NAMESPACE)
    if meta.namespace and not kind.namespaced:
        yield Finding(
            ("metadata", "namespace"),
            f"a {kind.kind} has no namespace; this one is ignored",
            "",
            True,
        )


def _unknown_kind(manifest: Mapping[str, Any]) -> Finding:
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    for name, value in (("kind", kind), ("apiVersion", api_version)):
        if value is None or value == "":
            return Finding((), f'the field "{name}" is missing')
        if not isinstance(value, str):
            return Finding((name,), "expected text")
    versions = [v for k in KINDS if k.kind == kind for v in k.api_versions]
    if versions:
        hint = f"{kind} has {', '.join(versions)}"
        return Finding(("apiVersion",), f'there is no {kind} in "{api_version}"', hint)
    hint = did_you_mean(str(kind), [k.kind for k in KINDS]) or _NO_USE
    return Finding(("kind",), f'unknown kind "{kind}"', hint)


def _key(manifest: Mapping[str, Any]) -> ResourceKey | None:
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict) or not manifest.get("kind"):
        return None
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
    return ResourceKey(group, str(manifest["kind"]), namespace, name)


def _placed(
    finding: Finding, locate: Locate, at: FieldPath, key: ResourceKey | None, file: str
) -> Diagnostic:
    line, column = locate((*at, *finding.path))
    return Diagnostic(
        severity=Severity.WARNING if finding.warning else Severity.ERROR,
        place=Place(file, line, column, key, field_text(finding.path)),
        problem=finding.problem,
        hint=finding.hint,
    )
