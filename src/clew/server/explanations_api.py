"""Why requests failed: the admin API's part that looks up who is to blame."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from clew.api.explanations import Explanation, ExplanationList
from clew.model.response_flags import meanings, split_flags
from clew.server.blame import Request, explanations
from clew.server.directory import Directory
from clew.server.proxies import ConnectedProxy
from clew.server.replies import reply, text_of
from clew.stores.store import NotFound

_POLICIES = frozenset({"AuthorizationPolicy", "RequestAuthentication"})


@dataclass(frozen=True, slots=True)
class ExplanationsApi:
    """Looks at what proxies have now, which may not be what they had then."""

    directory: Directory

    def routes(self) -> list[Route]:
        return [Route("/v1/proxies/{node}/explanation", self._explain, methods=["GET"])]

    async def _explain(self, request: HttpRequest) -> Response:
        node = request.path_params["node"]
        connection = self.directory.proxy(node)
        if connection is None:
            raise NotFound(f"there is no proxy {node}")
        given = {name: text_of(request, name) for name in ("details", "route", "cluster")}
        asked = Request(
            flags=split_flags(text_of(request, "flags")),
            authority=text_of(request, "authority"),
            **{name: "" if text == "-" else text for name, text in given.items()},
        )
        return reply(ExplanationList(items=self.of(connection, asked)))

    def of(self, connection: ConnectedProxy, request: Request) -> tuple[Explanation, ...]:
        if not meanings(request.flags, request.details):
            return ()
        publisher, subscriber = self.directory.publisher, connection.subscriber
        named = (each for each in publisher.concerns(subscriber) if each.kind in _POLICIES)
        policies = [publisher.in_force(key) for key in sorted(named)]
        return explanations(
            request,
            publisher.published_to(subscriber),
            [each for each in policies if each is not None],
        )
