"""One proxy in detail: the resources that it is told, and which versions of them it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clew.api.messages import Refusal, key_message
from clew.api.views import ProxyDetail, ResourceState
from clew.compile.config_dump import config_dump
from clew.model.xds import Published
from clew.server.proxies import SHORT_NAMES, ConnectedProxy
from clew.server.publisher import Publisher

_TITLES = {
    "CDS": "clusters",
    "EDS": "endpoints",
    "LDS": "listeners",
    "RDS": "routes",
    "ECDS": "extensions",
}


def proxy_detail(
    connection: ConnectedProxy, publisher: Publisher, refusals: tuple[Refusal, ...]
) -> ProxyDetail:
    published = publisher.published_to(connection.subscriber)
    proxy = connection.proxy
    return ProxyDetail(
        proxy=connection.status(published),
        labels=dict(proxy.labels),
        service_account=proxy.service_account,
        type=proxy.type.value,
        resources=tuple(_resources(connection, published)),
        refusals=tuple(each for each in refusals if each.proxy == proxy.node_id),
        objects=tuple(map(key_message, sorted(publisher.concerns(connection.subscriber)))),
    )


def _resources(connection: ConnectedProxy, published: Published) -> Iterator[ResourceState]:
    lagging = connection.conversation.lagging()
    for type_url, short in SHORT_NAMES.items():
        acked, behind = connection.acked.get(type_url, {}), lagging.get(type_url, frozenset())
        refused = connection.refused.get(type_url, {})
        for name, resource in sorted(published.get(type_url, {}).items()):
            version, reason = refused.get(name, ("", ""))
            # One that connects again says what it has, and does not acknowledge that.
            has = acked.get(name, "") if name in behind else resource.version
            wanted = connection.conversation.wants(type_url, name)
            yield ResourceState(
                type=short,
                name=name,
                version=resource.version,
                acknowledged=has if wanted else "",
                error=reason if version == resource.version else "",
                size=len(resource.body),
            )


def resource_as_json(published: Published, short: str, name: str) -> dict[str, Any] | None:
    """One published resource as Envoy's ``/config_dump`` prints it, None if it is not there."""
    for type_url, each in SHORT_NAMES.items():
        found = published.get(type_url, {}).get(name)
        if each == short and found is not None:
            return config_dump({type_url: {name: found}})[_TITLES[short]][0]
    return None
