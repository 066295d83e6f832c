"""Manifests with something else in one place: refused with a place and a reason, or compiled."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_manifest
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.manifests import resources_of

Path_ = tuple[str | int, ...]

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["*", "*.", ".", "a.b", "0s", "-1s", "1h", "300", "[", "(", "\\", "~", "/", "::"]
    )
)
VALUES = st.recursive(
    _SCALARS,
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=10), inside, max_size=3)
    ),
    max_leaves=6,
)
GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/input.yaml"))
_PROXIES = tuple(
    Proxy(
        type=kind,
        name="a",
        namespace="default",
        ip="10.2.0.1",
        labels=(("app", label), ("istio", label)),
    )
    for kind, label in ((ProxyType.SIDECAR, "reviews"), (ProxyType.ROUTER, "ingressgateway"))
)


@cache
def _documents(file: Path) -> tuple[dict[str, Any], ...]:
    found = yaml.safe_load_all(file.read_text())
    return tuple(document for document in found if isinstance(document, dict))


def _places(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    yield here
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from _places(inside, (*here, key))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            yield from _places(inside, (*here, index))


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[Path, dict[str, Any]]:
    """A golden case, and one of its objects with another value somewhere."""
    file = draw(st.sampled_from(GOLDEN))
    document = copy.deepcopy(draw(st.sampled_from(_documents(file))))
    *above, last = draw(st.sampled_from([path for path in _places(document) if path]))
    holder: Any = document
    for step in above:
        holder = holder[step]
    holder[last] = draw(VALUES)
    return file, document


@settings(deadline=None, max_examples=60)
@given(_worlds())
def test_an_object_with_an_odd_value_is_refused_or_compiled(
    world: tuple[Path, dict[str, Any]],
) -> None:
    file, document = world
    found = parse_manifest(document, "fuzz.yaml")
    for diagnostic in found.diagnostics:
        assert str(diagnostic)
    if found.resource is None or not found.valid:
        assert found.diagnostics
        return
    others = {each.key: each for each in resources_of(file.read_text())}
    snapshot = build_snapshot({**others, found.resource.key: found.resource}.values())
    for proxy in _PROXIES:
        compile_proxy(build_scope(snapshot, proxy), Memo())
