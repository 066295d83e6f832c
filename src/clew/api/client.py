"""Clients of the admin API: one that waits, for commands, and one for event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from clew.api.access import ApiTokenList, ApiTokenRequest, CreatedApiToken
from clew.api.authority import (
    AuthorityStatus,
    CreatedToken,
    RotationRequest,
    TokenList,
    TokenRequest,
)
from clew.api.authorization import Matrix, Permission
from clew.api.explanations import ExplanationList
from clew.api.messages import (
    Applied,
    ApplyReport,
    Changes,
    ErrorReply,
    Finding,
    History,
    Manifest,
    ObjectList,
    ObjectStatus,
    Problem,
    ProblemList,
    ProxyList,
    Readiness,
    ServiceAddresses,
    ServiceChanges,
)
from clew.api.runtime_settings import LogLevelAnswer, LogLevelRequest
from clew.api.tap import TapEvent
from clew.api.traces import Trace, TraceList
from clew.api.traffic import TrafficGraph
from clew.model.base import ResourceKey

T = TypeVar("T")

# The host is never resolved: the transport is a Unix socket.
_BASE_URL = "http://clew"
_TIMEOUT = httpx2.Timeout(30.0)


class ApiError(Exception):
    """The control plane refused a request; the message is for people."""

    def __init__(self, problem: Problem, diagnostics: tuple[Finding, ...] = ()) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.diagnostics = diagnostics


class Unreachable(Exception):
    """Nothing answers on the socket."""


class WatchEnded(Exception):
    """The stream is over (restart, or a revision too old): list again and watch from there."""


class Client(AbstractContextManager["Client"]):
    """Blocking calls. All raise ApiError, and Unreachable when there is no control plane.

    ``reached``: the socket of a mesh on this machine, or a client of one elsewhere.
    """

    def __init__(self, reached: Path | httpx2.Client) -> None:
        if isinstance(reached, Path):
            transport = httpx2.HTTPTransport(uds=str(reached))
            reached = httpx2.Client(transport=transport, base_url=_BASE_URL, timeout=_TIMEOUT)
        self._http = reached

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ready(self) -> bool:
        return self._ask(Readiness, "GET", "/ready", accept=503).ready

    def list(
        self, *, kinds: Collection[str] = (), namespace: str = "", selector: str = ""
    ) -> ObjectList:
        """All objects of these kinds (``VirtualService``); "" is every namespace."""
        params = {"kind": ",".join(kinds), "namespace": namespace, "labelSelector": selector}
        return self._ask(ObjectList, "GET", "/v1/objects", params=params)

    def get(self, key: ResourceKey) -> dict[str, Any]:
        return self._ask(dict[str, Any], "GET", object_path(key))

    def apply(
        self,
        text: str,
        *,
        namespace: str = "",
        author: str = "",
        file: str = "",
        dry_run: bool = False,
    ) -> ApplyReport:
        """Apply each document of a YAML or JSON text. Refused ones are in the report."""
        params = _apply_params(namespace, author, file, dry_run)
        return self._ask(ApplyReport, "POST", "/v1/apply", params=params, content=text.encode())

    def object_status(self, key: ResourceKey, *, wait: int = 0) -> ObjectStatus:
        """Whether an object is in force; with ``wait``, once it is settled or after so long."""
        timeout = httpx2.Timeout(30.0 + wait)
        params = {"wait": str(wait)}
        path = f"{object_path(key)}/status"
        return self._ask(ObjectStatus, "GET", path, params=params, timeout=timeout)

    def put_status(self, key: ResourceKey, status: Any) -> dict[str, Any]:
        content = msgspec.json.encode(status)
        return self._ask(dict[str, Any], "PUT", f"{object_path(key)}/status", content=content)

    def delete(
        self,
        key: ResourceKey,
        *,
        author: str = "",
        dry_run: bool = False,
        revision: int | None = None,
    ) -> Applied:
        """Delete; with ``revision`` only if the object is still the one of that revision."""
        params = _write_params(author, dry_run, revision)
        return self._ask(Applied, "DELETE", object_path(key), params=params)

    def permission(
        self, caller: str, target: str, asked: Mapping[str, Any], *, namespace: str = ""
    ) -> Permission:
        """Whether ``caller`` may make a request to ``target``, and which rule decides.

        ``asked``: of the request what is not as usual: port, method, path, ip, header, claim.
        """
        params = {"from": caller, "to": target, "namespace": namespace, **asked}
        return self._ask(Permission, "GET", "/v1/authorization", params=params)

    def authorization_matrix(self, *, namespace: str = "") -> Matrix:
        """Who may call whom; "" is the services of every namespace."""
        params = {"namespace": namespace}
        return self._ask(Matrix, "GET", "/v1/authorization/matrix", params=params)

    def history(self, key: ResourceKey) -> History:
        return self._ask(History, "GET", f"{object_path(key)}/history")

    def rollback(
        self,
        key: ResourceKey,
        *,
        revision: int | None = None,
        author: str = "",
        dry_run: bool = False,
    ) -> Applied:
        """Bring a revision back, by default the one before the newest."""
        params = _write_params(author, dry_run, revision)
        path = f"{object_path(key)}/rollback"
        return self._ask(Applied, "POST", path, params=params, accept=422)

    def proxies(self) -> ProxyList:
        return self._ask(ProxyList, "GET", "/v1/proxies")

    def traffic(self, *, window: int = 60, namespace: str = "") -> TrafficGraph:
        """The traffic of the last ``window`` seconds; "" is every namespace."""
        params = {"window": str(window), "namespace": namespace}
        return self._ask(TrafficGraph, "GET", "/v1/traffic", params=params)

    def traces(self, **wanted: str) -> TraceList:
        """Traces, the newest first. ``wanted``: the query parameters of ``/v1/traces``."""
        return self._ask(TraceList, "GET", "/v1/traces", params=wanted)

    def trace(self, trace_id: str) -> Trace:
        return self._ask(Trace, "GET", f"/v1/traces/{quote(trace_id, safe='')}")

    def explanation(self, node: str, **seen: str) -> ExplanationList:
        """Why a request failed at a proxy. ``seen``: flags, details, route, cluster, authority."""
        path = f"/v1/proxies/{quote(node, safe='')}/explanation"
        return self._ask(ExplanationList, "GET", path, params=seen)

    def tap(self, **wanted: str) -> Iterator[TapEvent]:
        """Requests as they happen. ``wanted``: the query parameters of ``/v1/tap``."""
        timeout = httpx2.Timeout(30.0)
        try:
            with self._http.stream("GET", "/v1/tap", params=wanted, timeout=timeout) as response:
                if response.status_code != 200:
                    response.read()
                    raise _error(response)
                for line in response.iter_lines():
                    if line:
                        yield msgspec.json.decode(line, type=TapEvent)
        except httpx2.TransportError as error:
            raise Unreachable(str(error)) from error

    def set_log_levels(self, wanted: LogLevelRequest) -> LogLevelAnswer:
        content = msgspec.json.encode(wanted)
        return self._ask(LogLevelAnswer, "POST", "/v1/log-levels", content=content)

    def problems(self) -> ProblemList:
        return self._ask(ProblemList, "GET", "/v1/problems")

    def api_tokens(self) -> ApiTokenList:
        return self._ask(ApiTokenList, "GET", "/v1/api-tokens")

    def create_api_token(self, wanted: ApiTokenRequest) -> CreatedApiToken:
        content = msgspec.json.encode(wanted)
        return self._ask(CreatedApiToken, "POST", "/v1/api-tokens", content=content)

    def revoke_api_token(self, token_id: str) -> None:
        self._ask(dict[str, Any], "DELETE", f"/v1/api-tokens/{quote(token_id, safe='')}")

    def authority(self) -> AuthorityStatus:
        return self._ask(AuthorityStatus, "GET", "/v1/authority")

    def rotate_authority(self, wanted: RotationRequest) -> AuthorityStatus:
        content = msgspec.json.encode(wanted)
        return self._ask(AuthorityStatus, "POST", "/v1/authority/rotation", content=content)

    def join_tokens(self) -> TokenList:
        return self._ask(TokenList, "GET", "/v1/tokens")

    def create_join_token(self, wanted: TokenRequest) -> CreatedToken:
        content = msgspec.json.encode(wanted)
        return self._ask(CreatedToken, "POST", "/v1/tokens", content=content)

    def revoke_join_token(self, token_id: str) -> None:
        self._ask(dict[str, Any], "DELETE", f"/v1/tokens/{quote(token_id, safe='')}")

    def _ask(
        self, kind: type[T], method: str, path: str, *, accept: int = 200, **options: Any
    ) -> T:
        try:
            response = self._http.request(method, path, **options)
        except httpx2.TransportError as error:
            raise Unreachable(str(error)) from error
        return _decoded(kind, response, accept)


class AsyncClient:
    """Calls for an event loop. All raise ApiError, and Unreachable without a control plane."""

    def __init__(self, socket: Path) -> None:
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(socket)),
            base_url=_BASE_URL,
            timeout=_TIMEOUT,
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
        params = {"kind": ",".join(kinds), "namespace": namespace, **_secrets(secrets)}
        return await self._ask(ObjectList, "GET", "/v1/objects", params=params)

    async def get(self, key: ResourceKey) -> dict[str, Any]:
        return await self._ask(dict[str, Any], "GET", object_path(key))

    async def apply(
        self, text: str, *, namespace: str = "", author: str = "", file: str = ""
    ) -> ApplyReport:
        params = _apply_params(namespace, author, file, False)
        content = text.encode()
        return await self._ask(ApplyReport, "POST", "/v1/apply", params=params, content=content)

    async def apply_manifest(self, manifest: Manifest, *, author: str = "") -> ApplyReport:
        return await self.apply(msgspec.json.encode(manifest).decode(), author=author)

    async def put_status(self, key: ResourceKey, status: Any) -> dict[str, Any]:
        path, content = f"{object_path(key)}/status", msgspec.json.encode(status)
        return await self._ask(dict[str, Any], "PUT", path, content=content)

    async def delete(self, key: ResourceKey, *, author: str = "") -> Applied:
        params = _write_params(author, False, None)
        return await self._ask(Applied, "DELETE", object_path(key), params=params)

    async def proxies(self) -> ProxyList:
        return await self._ask(ProxyList, "GET", "/v1/proxies")

    async def watch(
        self, since: int, *, kinds: Collection[str] = (), secrets: bool = False
    ) -> AsyncIterator[Changes]:
        """Changes after a revision, until WatchEnded. The first is empty: connected."""
        params = {"since": str(since), "kind": ",".join(kinds), **_secrets(secrets)}
        async for changes in self._stream(Changes, "/v1/watch", params):
            if changes.error is not None:
                raise WatchEnded(changes.error.message)
            yield changes

    async def service_addresses(self) -> AsyncIterator[Mapping[str, ServiceAddresses]]:
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
                    raise _error(response)
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
        return _decoded(kind, response, accept)


def object_path(key: ResourceKey) -> str:
    """``/v1/objects/networking.istio.io/VirtualService/default/reviews``"""
    parts = (key.group or "core", key.kind, key.namespace or "_", key.name)
    return "/v1/objects/" + "/".join(quote(part, safe="") for part in parts)


def manifest_key(manifest: Manifest) -> ResourceKey:
    """The key of an object as the API sends it."""
    metadata = manifest["metadata"]
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    return ResourceKey(group, manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def _take_over(objects: dict[ResourceKey, dict[str, Any]], changes: Changes) -> None:
    for change in changes.changes:
        if change.object is None:
            objects.pop(change.key.resource_key(), None)
        else:
            objects[change.key.resource_key()] = change.object


def _secrets(wanted: bool) -> dict[str, str]:
    return {"secrets": "values"} if wanted else {}


def _apply_params(namespace: str, author: str, file: str, dry_run: bool) -> dict[str, str]:
    params = {"namespace": namespace, "author": author, "file": file}
    return params | ({"dryRun": "true"} if dry_run else {})


def _write_params(author: str, dry_run: bool, revision: int | None) -> dict[str, str]:
    params = {"author": author} | ({"dryRun": "true"} if dry_run else {})
    return params | ({"revision": str(revision)} if revision is not None else {})


def _decoded(kind: type[T], response: httpx2.Response, accept: int) -> T:
    if response.is_success or response.status_code == accept:
        return msgspec.json.decode(response.content, type=kind)
    raise _error(response)


def _error(response: httpx2.Response) -> ApiError:
    try:
        reply = msgspec.json.decode(response.content, type=ErrorReply)
    except msgspec.DecodeError:
        text = f"the control plane answered {response.status_code}: {response.text[:200]}"
        return ApiError(Problem(reason="Internal", message=text))
    return ApiError(reply.error, reply.diagnostics)
