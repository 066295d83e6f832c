from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from clew.api.async_client import AsyncClient
from clew.api.service_addresses import ServiceAddresses, VirtualPort
from clew.server.service_addresses import service_addresses
from clew.snapshot.snapshot import build_snapshot
from tests.server.api_server import with_server
from tests.server.test_publisher import resources
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon, put

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.208.0.1
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 9080}
  - {name: dns, port: 53, protocol: UDP}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: default, labels: {app: web}}
status:
  podIP: 10.200.0.10
  conditions: [{type: Ready, status: "True"}]
"""
HEADLESS = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: tcp, port: 5432}]}
"""
ALIAS = """
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: example.org}
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example]
  ports: [{name: https, number: 443, protocol: TLS, targetPort: 8443}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
"""
WEB = "default/web.default.svc.cluster.local"


def known(*texts: str) -> dict[str, ServiceAddresses]:
    registry = build_snapshot(resources("\n---\n".join(texts))).registry
    return {
        s.name: service_addresses(s, registry.endpoints_of(s.key))
        for s in registry.services.ordered
    }


def test_a_service_has_a_name_and_a_virtual_address_that_leads_to_ready_pods() -> None:
    assert known(SERVICE, POD)["web"] == ServiceAddresses(
        names={"web.default.svc.cluster.local": ("10.208.0.1",)},
        virtual=("10.208.0.1",),
        ports=(
            VirtualPort(number=80, endpoints=(("10.200.0.10", 9080),)),
            VirtualPort(number=53, udp=True, endpoints=(("10.200.0.10", 53),)),
        ),
    )
    unready = POD.replace('status: "True"', 'status: "False"')
    assert [port.endpoints for port in known(SERVICE, unready)["web"].ports] == [(), ()]


def test_a_headless_service_and_an_alias_are_names_only() -> None:
    found = known(HEADLESS, ALIAS, POD)
    assert found["db"].names == {"db.default.svc.cluster.local": ("10.200.0.10",)}
    assert found["db"].virtual == ()
    assert found["alias"].names == {"alias.default.svc.cluster.local": ("example.org",)}


def test_of_a_service_entry_only_addresses_that_it_was_given_are_the_meshs() -> None:
    (given,) = known(ENTRY).values()
    assert given.names == {}
    assert [address.partition(".")[0][:6] for address in given.virtual] == ["240", "2001:2"]
    assert given.ports == (VirtualPort(number=443, endpoints=(("192.0.2.1", 8443),)),)
    (own,) = known(ENTRY + "  addresses: [198.51.100.1]\n").values()
    assert own.virtual == ()


def test_whoever_listens_hears_of_every_change() -> None:
    store = MemoryStore(now=noon)

    async def scenario(client: AsyncClient, _: Path) -> None:
        heard = client.service_addresses()
        assert await following(heard) == {}
        await put(store, manifest(SERVICE))
        assert (await following(heard))[WEB].ports[0].endpoints == ()
        await put(store, manifest(POD))
        assert (await following(heard))[WEB].ports[0].endpoints == (("10.200.0.10", 9080),)
        other = client.service_addresses()
        assert list(await following(other)) == [WEB]
        await other.aclose()
        web = resources(SERVICE)[0].key
        await store.delete(web, author="ada")
        assert await following(heard) == {}
        await heard.aclose()

    asyncio.run(with_server(scenario, store))


def manifest(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text))


async def following(
    heard: AsyncIterator[Mapping[str, ServiceAddresses]],
) -> Mapping[str, ServiceAddresses]:
    async with asyncio.timeout(10):
        return await anext(heard)
