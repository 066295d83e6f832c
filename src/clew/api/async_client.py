"""A client of the admin API for event loops."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from clew.api.answers import T, Unreachable, WatchEnded, decoded, error_of
from clew.api.messages import (
    Applied,
    ApplyReport,
    Changes,
    Manifest,
    ObjectList,
    ProxyList,
    Readiness,
)
from clew.api.requests import (
    BASE_URL,
    TIMEOUT,
    apply_params,
    manifest_key,
    object_path,
    secrets_param,
    write_params,
)
from clew.api.service_addresses import ServiceAddresses, ServiceChanges
from clew.model.base import ResourceKey


class AsyncClient:
    """Calls for an event loop. All raise ApiError, and Unreachable without a control plane."""

    def __init__(self, socket: Path) -> None:
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(socket)),
            base_url=BASE_URL,
            timeout=TIMEOUT,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def ready(self) -> bool:
        return (await self._ask(Readiness, "GET", "/ready", accept=503)).ready

    async def list(
        self, *, kinds: Collection[str] = (), namespace: str = "", secrets: bool = False
    ) -> ObjectList:
        """All objects of these kinds; ``secrets``: with the values of Secrets."""
        params = {"kind": ",".join(kinds), "namespace": namespace, **secrets_param(secrets)}
        return await self._ask(ObjectList, "GET", "/v1/objects", params=params)

    async def get(self, key: ResourceKey) -> dict[str, Any]:
        return await self._ask(dict[str, Any], "GET", object_path(key))

    async def apply(
        self, text: str, *, namespace: str = "", author: str = "", file: str = ""
    ) -> ApplyReport:
        params = apply_params(namespace, author, file, False)
        content = text.encode()
        return await self._ask(ApplyReport, "POST", "/v1/apply", params=params, content=content)

    async def apply_manifest(self, manifest: Manifest, *, author: str = "") -> ApplyReport:
        return await self.apply(msgspec.json.encode(manifest).decode(), author=author)

    async def put_status(self, key: ResourceKey, status: Any) -> dict[str, Any]:
        path, content = f"{object_path(key)}/status", msgspec.json.encode(status)
        return await self._ask(dict[str, Any], "PUT", path, content=content)

    async def delete(self, key: ResourceKey, *, author: str = "") -> Applied:
        params = write_params(author, False, None)
        return await self._ask(Applied, "DELETE", object_path(key), params=params)

    async def proxies(self) -> ProxyList:
        return await self._ask(ProxyList, "GET", "/v1/proxies")

    async def watch(
        self, since: int, *, kinds: Collection[str] = (), secrets: bool = False
    ) -> AsyncIterator[Changes]:
        """Changes after a revision, until WatchEnded. The first is empty: connected."""
        params = {"since": str(since), "kind": ",".join(kinds), **secrets_param(secrets)}
        async for changes in self._stream(Changes, "/v1/watch", params):
            if changes.error is not None:
                raise WatchEnded(changes.error.message)
            yield changes

    async def service_addresses(self) -> AsyncGenerator[Mapping[str, ServiceAddresses], None]:
        """How all services are reached, by ``namespace/host``, again after every change.

        Raises WatchEnded when the control plane restarts: ask again.
        """
        services: dict[str, ServiceAddresses] = {}
        async for changes in self._stream(ServiceChanges, "/v1/service-addresses", {}):
            for name, service in changes.services.items():
                if service is None:
                    services.pop(name, None)
                else:
                    services[name] = service
            yield dict(services)

    async def _stream(
        self, kind: type[T], path: str, params: Mapping[str, str]
    ) -> AsyncIterator[T]:
        """Each line of an answer that has no end by itself."""
        timeout = httpx2.Timeout(30.0, read=None)
        try:
            async with self._http.stream("GET", path, params=params, timeout=timeout) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise error_of(response)
                async for line in response.aiter_lines():
                    yield msgspec.json.decode(line, type=kind)
        except httpx2.ConnectError as error:
            raise Unreachable(str(error)) from error
        except httpx2.TransportError as error:
            raise WatchEnded(str(error)) from error
        raise WatchEnded("the control plane closed the stream")

    async def follow(
        self, *, kinds: Collection[str] = (), secrets: bool = False
    ) -> AsyncIterator[Mapping[ResourceKey, Manifest]]:
        """All objects of these kinds, again after every change, whatever happens to the stream.

        Lists again by itself when the control plane restarts. Raises Unreachable while there is
        none; the caller decides how long to wait before it follows anew.
        """
        while True:
            listed = await self.list(kinds=kinds, secrets=secrets)
            objects = {manifest_key(manifest): manifest for manifest in listed.items}
            yield dict(objects)
            try:
                async for changes in self.watch(listed.revision, kinds=kinds, secrets=secrets):
                    if changes.changes:
                        _take_over(objects, changes)
                        yield dict(objects)
            except WatchEnded:
                continue

    async def _ask(
        self, kind: type[T], method: str, path: str, *, accept: int = 200, **options: Any
    ) -> T:
        try:
            response = await self._http.request(method, path, **options)
        except httpx2.TransportError as error:
            raise Unreachable(str(error)) from error
        return decoded(kind, response, accept)


def _take_over(objects: dict[ResourceKey, dict[str, Any]], changes: Changes) -> None:
    for change in changes.changes:
        if change.object is None:
            objects.pop(change.key.resource_key(), None)
        else:
            objects[change.key.resource_key()] = change.object
