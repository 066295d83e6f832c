"""Reading 10,000 VirtualServices: parse and validate, from YAML and from JSON."""

from __future__ import annotations

import msgspec
import yaml

from benchmarks.fleet import virtual_service
from benchmarks.table import best, show, verdict
from clew.config.parse import parse_documents, parse_manifest


def main(count: int = 10_000) -> None:
    manifests = [virtual_service(f"svc-{n}", "default", n % 100) for n in range(count)]
    as_yaml = yaml.dump_all(manifests, Dumper=yaml.CSafeDumper)
    as_json = [msgspec.json.encode(m) for m in manifests]

    def read_yaml() -> None:
        assert all(not d.diagnostics for d in parse_documents(as_yaml))

    def read_json() -> None:
        assert all(not parse_manifest(msgspec.json.decode(text)).diagnostics for text in as_json)

    rows = []
    for name, run, budget in (("YAML", read_yaml, 4000), ("JSON", read_json, 400)):
        took = best(run, 2)
        rows.append((name, f"{took:.0f} ms", f"< {budget} ms", verdict(took, budget)))
    show(f"Parse and validate {count} VirtualServices", ("from", "CPU time", "budget", "met"), rows)
