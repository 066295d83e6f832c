"""What changed between two versions of an object, in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# The store changes these with every write.
_UNINTERESTING = frozenset({"resourceVersion", "generation", "uid", "creationTimestamp"})
_LONGEST_VALUE = 40


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``spec.http[0].route[0].weight: 90 → 50``, one text per field that changed."""
    return list(_compare("", visible(old), visible(new)))


def summary(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """The first differences on one line; "" where there is nothing to compare."""
    if old is None or new is None:
        return ""
    changed = differences(old, new)
    more = f" (+{len(changed) - 3} more)" if len(changed) > 3 else ""
    return ", ".join(changed[:3]) + more


def visible(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What people write of an object: without status, and what the store changes itself."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _UNINTERESTING}
    return {k: v for k, v in manifest.items() if k != "status"} | {"metadata": metadata}


def _compare(path: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _compare_field(_join(path, name), name, old, new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _compare(f"{path}[{index}]", before, after)
    else:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _compare_field(
    path: str, name: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[str]:
    if name not in new:
        yield f"-{path}"
    elif name not in old:
        yield f"+{path}"
    else:
        yield from _compare(path, old[name], new[name])


def _join(path: str, name: str) -> str:
    part = f'["{name}"]' if "." in name or "/" in name else (f".{name}" if path else name)
    return path + part


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{…}"
    if isinstance(value, list):
        return f"[{len(value)} item{'s' * (len(value) != 1)}]"
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
