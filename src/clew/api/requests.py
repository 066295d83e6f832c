"""What requests of the admin API are made of."""

from __future__ import annotations

from urllib.parse import quote

import httpx2

from clew.api.messages import Manifest
from clew.model.base import ResourceKey

# The host is never resolved: the transport is a Unix socket.
BASE_URL = "http://clew"
TIMEOUT = httpx2.Timeout(30.0)


def object_path(key: ResourceKey) -> str:
    """``/v1/objects/networking.istio.io/VirtualService/default/reviews``"""
    parts = (key.group or "core", key.kind, key.namespace or "_", key.name)
    return "/v1/objects/" + "/".join(quote(part, safe="") for part in parts)


def manifest_key(manifest: Manifest) -> ResourceKey:
    """The key of an object as the API sends it."""
    metadata = manifest["metadata"]
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    return ResourceKey(group, manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def secrets_param(wanted: bool) -> dict[str, str]:
    return {"secrets": "values"} if wanted else {}


def apply_params(namespace: str, author: str, file: str, dry_run: bool) -> dict[str, str]:
    params = {"namespace": namespace, "author": author, "file": file}
    return params | ({"dryRun": "true"} if dry_run else {})


def write_params(author: str, dry_run: bool, revision: int | None) -> dict[str, str]:
    params = {"author": author} | ({"dryRun": "true"} if dry_run else {})
    return params | ({"revision": str(revision)} if revision is not None else {})
