"""What one proxy says of one change: it has acknowledged it, has yet to, or refused it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from clew.model.xds import CLUSTER, LISTENER, ROUTE, Published, TypeUrl
from clew.server.proxies import ConnectedProxy
from clew.server.publications import Effect


class Answer(Enum):
    ACKNOWLEDGED = "acknowledged"
    PENDING = "pending"
    REFUSED = "refused"


def answer(connection: ConnectedProxy, effect: Effect | None, published: Published) -> Answer:
    """Return what a proxy says of a change with this effect, and of all it has if that is None."""
    if effect is None:
        behind = _has_yet_to_ask(connection) or any(_lagging(connection, published))
        behind = behind or _unasked_route(connection, published, published.get(ROUTE, {}))
        return Answer.PENDING if behind else Answer.ACKNOWLEDGED
    lagging = connection.conversation.lagging()
    answers = set()
    for type_url, names in effect.items():
        for name in names.keys() & lagging.get(type_url, frozenset()):
            answers.add(_of_lagging(connection, type_url, name, names[name], published))
    if _unasked_route(connection, published, effect.get(ROUTE, {})):
        answers.add(Answer.PENDING)
    worst_first = (Answer.REFUSED, Answer.PENDING)
    return next((a for a in worst_first if a in answers), Answer.ACKNOWLEDGED)


def _of_lagging(
    connection: ConnectedProxy,
    type_url: TypeUrl,
    name: str,
    enough: frozenset[str | None],
    published: Published,
) -> Answer:
    if is_refused(connection, type_url, name, published):
        return Answer.REFUSED
    # A later change may be on its way; this one has arrived.
    acknowledged = connection.acked.get(type_url, {}).get(name) in enough - {None}
    return Answer.ACKNOWLEDGED if acknowledged else Answer.PENDING


def is_refused(
    connection: ConnectedProxy, type_url: TypeUrl, name: str, published: Published
) -> bool:
    """Whether the proxy refused what is published now."""
    refused = connection.refused.get(type_url, {}).get(name)
    resource = published.get(type_url, {}).get(name)
    return refused is not None and resource is not None and refused[0] == resource.version


def _lagging(connection: ConnectedProxy, published: Published) -> Iterator[str]:
    """What the proxy has yet to take; what it refused, it will not."""
    for type_url, names in connection.conversation.lagging().items():
        for name in names:
            if not is_refused(connection, type_url, name, published):
                yield name


def _has_yet_to_ask(connection: ConnectedProxy) -> bool:
    """Envoy asks for clusters first, and for listeners when it has them."""
    asked = connection.conversation.asked
    return not (asked(LISTENER) and (connection.proxy.grpc or asked(CLUSTER)))


def _unasked_route(connection: ConnectedProxy, published: Published, names: Iterable[str]) -> bool:
    """Whether Envoy is about to ask for one of these routes: it does when it has taken their
    listener.
    """
    if connection.proxy.grpc:
        return False
    if any(is_refused(connection, LISTENER, n, published) for n in published.get(LISTENER, {})):
        return False
    routes = published.get(ROUTE, {})
    wants = connection.conversation.wants
    return any(name in routes and not wants(ROUTE, name) for name in names)
