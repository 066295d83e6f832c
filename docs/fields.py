"""Every field of Istio's API: whether it works here as there, and the test that proves it.

Proofs are the tests' own marks (``pytest.mark.proves``) and the ``proves`` of golden cases; what
differs or is missing is said in ``compatibility.toml``, where ``Class.*`` speaks for all fields of
a message. A field that has none of them is *unproven*, but one that holds a message is shown by
what is in it.
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import get_args

import msgspec
import yaml

from clew.config.validate.unsupported import UNSUPPORTED
from clew.model.kinds import KINDS, Kind
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_networks import MeshNetworks

PROJECT = Path(__file__).parents[1]
NOTES = Path(__file__).parent / "compatibility.toml"
GROUPS = (
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
    "gateway.networking.k8s.io",
    "gateway.networking.x-k8s.io",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A test or a golden case by its ``name``; ``file`` is relative to the project's root."""

    file: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the message ``of``, with the ``values`` of its enumeration if it is one.

    ``holds`` names the message that it holds, "" for a scalar.
    """

    kind: str
    of: str
    name: str
    values: tuple[str, ...]
    holds: str

    @property
    def key(self) -> str:
        return f"{self.of}.{self.name}"

    @property
    def keys_of_values(self) -> tuple[str, ...]:
        return tuple(f"{self.key}={value}" for value in self.values)


def messages(root: type, seen: set[type]) -> Iterator[type[msgspec.Struct]]:
    """Yield the messages that ``root`` is made of, itself first, each once."""
    if root in seen:
        return
    seen.add(root)
    if isinstance(root, type) and issubclass(root, msgspec.Struct):
        yield root
        for field in msgspec.structs.fields(root):
            yield from messages(field.type, seen)
    for argument in get_args(root):
        yield from messages(argument, seen)


def enumeration(annotation: object) -> tuple[str, ...]:
    """The values of the enumeration that a type names, also ``None | E`` and ``tuple[E, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return tuple(member.value for member in annotation)
    return next((v for each in get_args(annotation) if (v := enumeration(each))), ())


ROOTS = (("MeshConfig", MeshConfig), ("MeshNetworks", MeshNetworks))
IN_FORCE = tuple(kind for kind in KINDS if kind.effective)


def roots(kinds: Iterable[Kind] = IN_FORCE) -> list[tuple[str, type]]:
    """Return names and specs of the given kinds, in the order of ``kinds.py``, then ``ROOTS``."""
    specs = [
        (kind.kind, field.type)
        for kind in kinds
        if kind.group in GROUPS
        for field in msgspec.structs.fields(kind.type)
        if field.name == "spec"
    ]
    return [*specs, *ROOTS]


def fields(kinds: Iterable[Kind] = IN_FORCE) -> Iterator[Field]:
    """Yield the fields of the given kinds, in the order of ``roots``."""
    seen: set[type] = set()
    for name, root in roots(kinds):
        for message in messages(root, seen):
            for field in msgspec.structs.fields(message):
                yield Field(
                    kind=name,
                    of=message.__name__,
                    name=field.encode_name,
                    values=enumeration(field.type),
                    holds=next((each.__name__ for each in messages(field.type, set())), ""),
                )


def proofs() -> dict[str, list[Proof]]:
    """Return the tests that prove each field, by its key."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for path in sorted(PROJECT.glob("tests/**/test_*.py")):
        for name, keys in marks(ast.parse(path.read_text())):
            for key in keys:
                found[key].append(Proof(file=str(path.relative_to(PROJECT)), name=name))
    for path in sorted(PROJECT.glob("tests/golden/*/proxy.yaml")):
        for key in yaml.safe_load(path.read_text()).get("proves", ()):
            folder = path.parent.relative_to(PROJECT)
            found[key].append(Proof(file=f"{folder}/input.yaml", name=path.parent.name))
    return found


def marks(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Yield each test's name with what its marks, also those of its parameters, say it proves."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            calls = (c for d in node.decorator_list for c in ast.walk(d) if isinstance(c, ast.Call))
            keys = [key for call in calls if is_mark(call) for key in texts(call)]
            yield node.name.removeprefix("test_").replace("_", " "), keys


def is_mark(call: ast.Call) -> bool:
    name = call.func
    called = (
        name.attr if isinstance(name, ast.Attribute) else isinstance(name, ast.Name) and name.id
    )
    return called == "proves"


def texts(call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def notes(known: Iterable[Field]) -> dict[str, tuple[str, str]]:
    """Return what is said of fields that are not as in Istio: ``(differs | unsupported, why)``.

    Of those that clew itself warns of, it is what it says then.
    """
    said = tomllib.loads(NOTES.read_text())
    found = {key: (how, text) for how in said for key, text in said[how].items()}
    found |= {key: ("unsupported", why) for key, why in UNSUPPORTED.items()}
    whole = {key.removesuffix(".*"): found.pop(key) for key in tuple(found) if key.endswith(".*")}
    return {field.key: whole[field.of] for field in known if field.of in whole} | found


def unknown(known: Sequence[Field]) -> list[str]:
    """Return the keys of marks and notes that name no field."""
    keys = {key for field in known for key in (field.key, *field.keys_of_values)}
    return sorted({*proofs(), *notes(known)} - keys)


def unproven(known: Sequence[Field]) -> list[str]:
    """Return the fields, and values of enumerations, of which nothing shows that they work."""
    shown = {*proofs(), *notes(known)}
    shown_messages = {key.partition(".")[0] for key in shown}
    return [
        key
        for field in known
        if field.key not in shown and field.holds not in shown_messages
        for key in (field.keys_of_values or (field.key,))
        if key not in shown
    ]


def kinds() -> str:
    """Return the Markdown of which kinds are in force, and which are only accepted and kept."""
    names = {
        True: "In force",
        False: "Accepted and kept without effect, of which `clew apply` warns",
    }
    lists = {
        effective: ", ".join(shown_kind(kind) for kind in KINDS if kind.effective is effective)
        for effective in names
    }
    return "\n".join(f"{names[each]}: {lists[each]}.\n" for each in names)


def shown_kind(kind: Kind) -> str:
    """The kind's name, with its group where another group has a kind of that name."""
    twice = [each for each in KINDS if each.kind == kind.kind]
    return f"{kind.kind} ({kind.group})" if len(twice) > 1 else kind.kind


def table() -> str:
    """Return the Markdown of all fields, a heading for each kind, a table for each message."""
    known = tuple(fields())
    shown, said, lacking = proofs(), notes(known), unproven(known)
    parts: list[str] = []
    kind = message = ""
    for field in known:
        if field.kind != kind:
            kind = field.kind
            parts.append(f"\n### {kind}")
        if field.of != message:
            message = field.of
            parts.append(f"\n| {message} | | shown by |\n|---|---|---|")
        parts += rows(field, shown, said, lacking)
    return "\n".join(parts) + "\n"


def rows(
    field: Field,
    shown: Mapping[str, list[Proof]],
    said: Mapping[str, tuple[str, str]],
    lacking: Sequence[str],
) -> Iterator[str]:
    """Yield the field's row, and one more for each value of it that is not like the others."""
    keys = (field.key, *field.keys_of_values)
    found = [proof for key in keys for proof in shown.get(key, ())]
    unseen = [key for key in keys if key in lacking]
    yield row(f"`{field.name}`", said.get(field.key), bool(unseen) and not found, found)
    for value, key in zip(field.values, field.keys_of_values, strict=True):
        if key in said or (key in unseen and found):
            yield row(f"`{field.name}: {value}`", said.get(key), key in unseen, shown.get(key, ()))


def row(name: str, note: tuple[str, str] | None, lacking: bool, found: Sequence[Proof]) -> str:
    words = {"differs": "differs", "unsupported": "not supported", "words": "no effect"}
    text = f"{words[note[0]]}: {note[1]}" if note else "unproven" if lacking else "works"
    links = ", ".join(f"[{proof.name}](../{proof.file})" for proof in dict.fromkeys(found))
    return f"| {name} | {text} | {links} |"
