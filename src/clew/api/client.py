"""A client of the admin API that waits, for commands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec

from clew.api.access import ApiTokenList, ApiTokenRequest, CreatedApiToken
from clew.api.answers import T, Unreachable, decoded, error_of
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
    History,
    ObjectList,
    ObjectStatus,
    ProblemList,
    ProxyList,
    Readiness,
)
from clew.api.requests import BASE_URL, TIMEOUT, apply_params, object_path, write_params
from clew.api.runtime_settings import LogLevelAnswer, LogLevelRequest
from clew.api.tap import TapEvent
from clew.api.traces import Trace, TraceList
from clew.api.traffic import TrafficGraph
from clew.api.views import Overview
from clew.model.base import ResourceKey


class Client(AbstractContextManager["Client"]):
    """Blocking calls. All raise ApiError, and Unreachable when there is no control plane.

    ``reached``: the socket of a mesh on this machine, or a client of one elsewhere.
    """

    def __init__(self, reached: Path | httpx2.Client) -> None:
        if isinstance(reached, Path):
            transport = httpx2.HTTPTransport(uds=str(reached))
            reached = httpx2.Client(transport=transport, base_url=BASE_URL, timeout=TIMEOUT)
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
        params = apply_params(namespace, author, file, dry_run)
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
        params = write_params(author, dry_run, revision)
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
        params = write_params(author, dry_run, revision)
        path = f"{object_path(key)}/rollback"
        return self._ask(Applied, "POST", path, params=params, accept=422)

    def overview(self) -> Overview:
        return self._ask(Overview, "GET", "/v1/overview")

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
                    raise error_of(response)
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
        return decoded(kind, response, accept)
