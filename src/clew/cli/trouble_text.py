"""What is wrong now, each thing with the command that shows its cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew.api.messages import Key
from clew.api.views import AUTHORITY, EVERY_PROXY, Trouble

_DEFAULT, _SERVICES = "default", ".svc.cluster.local"


def trouble_text(troubles: Iterable[Trouble]) -> str:
    """A line for each, "" if nothing is wrong; below it what to do, and where its cause is."""
    lines = [line for trouble in troubles for line in _lines(trouble)]
    return "\n".join(("What is wrong now:", *lines)) if lines else ""


def _lines(trouble: Trouble) -> Iterator[str]:
    yield f"  {trouble.severity}: {trouble.problem}"
    if trouble.hint:
        yield f"      {trouble.hint}"
    if command := cause(trouble):
        yield f"      cause: {command}"


def cause(trouble: Trouble) -> str:
    """The command that shows what is to blame, with the field there; "" if there is none."""
    if trouble.object is not None:
        at = f"  # {trouble.field}" if trouble.field else ""
        return f"clew describe {_reference(trouble.object)}{at}"
    if trouble.view == AUTHORITY:
        return "clew ca status"
    if trouble.proxy:
        name = trouble.proxy.split("~")[2] if trouble.proxy.count("~") == 3 else ""
        return "" if trouble.proxy == EVERY_PROXY else f"clew logs {name.split('.')[0]} --proxy"
    namespace, _, host = trouble.service.partition("/")
    name = host.removesuffix(f".{namespace}{_SERVICES}")
    if host and name != host:
        return f"clew describe {_reference(Key(kind='Service', namespace=namespace, name=name))}"
    return ""


def _reference(key: Key) -> str:
    where = "" if key.namespace in ("", _DEFAULT) else f" -n {key.namespace}"
    return f"{key.kind.lower()} {key.name}{where}"
