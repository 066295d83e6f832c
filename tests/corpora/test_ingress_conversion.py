"""Kubernetes Ingresses as Istio's own conversion has them. A ratchet: raise it, never lower."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from clew.config.parse import parse_documents, parse_mesh_config
from clew.model.base import Resource
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases
from tests.corpora.gateway_worlds import plain

REACHED = 1.0
DOMAIN = ".svc.mydomain"


def comparable(manifest: dict[str, Any]) -> tuple[str, str]:
    meta, spec = manifest["metadata"], plain(manifest["spec"])
    for route in spec.get("http", ()):
        for destination in route.get("route", ()):
            if destination.get("weight") == 100:
                del destination["weight"]
    place = f"{manifest['kind']} {meta['namespace']}/{meta['name']}"
    values = [plain(meta.get("annotations") or {}), spec]
    return place, msgspec.json.encode(values, order="sorted").decode()


def normal(resource: Resource) -> tuple[str, str]:
    return comparable(msgspec.json.decode(msgspec.json.encode(resource, enc_hook=str)))


def test_ingresses_are_what_istio_makes_of_them(score: Score) -> None:
    # Istio's tests take every Ingress, also one without a class.
    mesh, _ = parse_mesh_config("ingressControllerMode: DEFAULT")
    wrong, total = [], 0
    for case in cases("ingress-conversion"):
        total += 1
        documents = parse_documents(case["input_yaml"])
        resources = [d.resource for d in documents if d.resource is not None]
        converted = build_snapshot(resources, mesh).converted
        expected_text = case["expected_yaml"].replace(DOMAIN, ".svc.cluster.local")
        expected = sorted(comparable(each) for each in yaml.safe_load_all(expected_text) if each)
        found = sorted(map(normal, converted.objects))
        if found != expected:
            wrong.append(f"{case['name']}: {found} is not {expected}")
    score("ingress-conversion", total, wrong, REACHED)
