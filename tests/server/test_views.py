"""What the API says of the mesh as a whole, which the console shows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from clew.api.async_client import AsyncClient
from clew.api.views import (
    KindList,
    Overview,
    ProxyDetail,
    RecentChanges,
    References,
    ServiceList,
    ServiceView,
)
from tests.server.api_server import raw, with_server
from tests.server.shop import ROUTES, SHOP
from tests.stores.objects import noon

T = TypeVar("T")
RULE = "networking.istio.io/VirtualService/default/reviews"


async def ask(socket: Path, path: str, kind: type[T]) -> T:
    response = await raw(socket, "GET", path)
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=kind)


async def shop(client: AsyncClient, *more: str) -> None:
    for text in (SHOP, *more):
        report = await client.apply(text, author="ada")
        assert all(item.result != "refused" for item in report.items), report


def test_a_mesh_that_is_well_has_no_troubles() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES)
        overview = await ask(socket, "/v1/overview", Overview)
        assert overview.troubles == ()
        assert overview.objects["Pod"] == 2
        assert [change.key.kind for change in overview.changes] == [
            "VirtualService", "DestinationRule", "Service",
        ]  # fmt: skip

    asyncio.run(with_server(scenario))


def test_a_route_to_nowhere_is_trouble_that_leads_to_its_field() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES.replace("subset: v1}, weight", "subset: v9}, weight"))
        (trouble,) = (await ask(socket, "/v1/overview", Overview)).troubles
        assert "v9" in trouble.problem
        assert trouble.object is not None
        assert trouble.object.name == "reviews"
        assert trouble.field == "spec.http[1].route[0].destination"

    asyncio.run(with_server(scenario))


def test_a_service_whose_pods_are_not_ready_is_trouble() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES)
        await client.apply(SHOP.replace('status: "True"', 'status: "False"'))
        for name in ("reviews-v1-0", "reviews-v2-0"):
            path = f"/v1/objects/core/Pod/default/{name}"
            pod = (await raw(socket, "GET", path)).json()
            pod["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "Crash"}]
            await raw(socket, "PUT", f"{path}/status", json=pod)
        troubles = (await ask(socket, "/v1/overview", Overview)).troubles
        assert [trouble.severity for trouble in troubles] == ["error", "warning", "warning"]
        assert "no healthy endpoint (0 of 2)" in troubles[0].problem
        assert troubles[0].service == "default/reviews.default.svc.cluster.local"
        assert "reviews-v1-0 is not ready: Crash" in troubles[1].problem

    asyncio.run(with_server(scenario))


def test_a_program_that_ended_is_told_for_a_minute_though_it_runs_again() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES)
        path = "/v1/objects/core/Pod/default/reviews-v1-0"
        pod = (await raw(socket, "GET", path)).json()
        for second, told in ((50, 1), (0, 0)):
            at = f"{noon() - timedelta(seconds=61 - second):%Y-%m-%dT%H:%M:%SZ}"
            ended = {"exitCode": 137, "message": "was killed by SIGKILL", "finishedAt": at}
            statuses = [{"name": "app", "restartCount": 3, "lastState": {"terminated": ended}}]
            status = {**pod["status"], "containerStatuses": statuses}
            await raw(socket, "PUT", f"{path}/status", json={**pod, "status": status})
            troubles = (await ask(socket, "/v1/overview", Overview)).troubles
            assert len(troubles) == told
            for trouble in troubles:
                assert "its program was killed by SIGKILL at 11:59:49" in trouble.problem
                assert "started again 3 times" in trouble.problem
                assert trouble.object is not None
                assert trouble.object.kind == "Pod"

    asyncio.run(with_server(scenario))


def test_a_subset_without_pods_is_trouble_while_requests_go_there() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES)
        await raw(socket, "DELETE", "/v1/objects/core/Pod/default/reviews-v1-0")
        (trouble,) = (await ask(socket, "/v1/overview", Overview)).troubles
        assert "90 % of the requests go to subset v1" in trouble.problem
        assert (trouble.severity, trouble.field) == ("error", "spec.http[1].route[0]")
        await client.apply(ROUTES.replace("weight: 90", "weight: 0").replace("10}", "100}"))
        assert (await ask(socket, "/v1/overview", Overview)).troubles == ()

    asyncio.run(with_server(scenario))


def test_recent_changes_say_who_changed_what() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES)
        await client.apply(ROUTES.replace("timeout: 2s", "timeout: 5s"), author="bob")
        changes = (await ask(socket, "/v1/changes?limit=2", RecentChanges)).items
        assert [(c.author, c.action) for c in changes] == [("bob", "update"), ("ada", "create")]
        assert changes[0].differences == ("spec.http[0].timeout: 2s → 5s",)
        assert [c.state for c in changes] == ["no proxy", ""]

    asyncio.run(with_server(scenario))


def test_secrets_do_not_show_in_the_changes() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        secret = "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {key: one}}"
        await client.apply(secret)
        await client.apply(secret.replace("one", "two"))
        response = await raw(socket, "GET", "/v1/changes")
        assert "one" not in response.text.replace("None", "")
        assert len(response.json()["items"]) == 2

    asyncio.run(with_server(scenario))


def test_the_routing_of_a_service_is_told_as_decisions() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, ROUTES)
        (summary,) = (await ask(socket, "/v1/services", ServiceList)).items
        assert (summary.healthy, summary.endpoints) == (2, 2)
        assert summary.versions == ("v1", "v2")
        assert [key.kind for key in summary.rules] == ["VirtualService"]

        view = await ask(socket, f"/v1/services/default/{summary.host}", ServiceView)
        (table,) = view.tables
        special, rest = table.routes
        assert special.matches == ("header end-user is jason", "path starts with /beta")
        assert special.actions == ("fault: abort 10 % with 503", "timeout 2s")
        assert special.field == "spec.http[0]"
        assert rest.matches == ()
        assert [(t.subset, t.weight, t.healthy) for t in rest.targets] == [
            ("v1", 90, 1), ("v2", 10, 1),
        ]  # fmt: skip
        assert rest.targets[1].field == "spec.http[1].route[1]"
        assert [(s.name, s.field) for s in view.subsets] == [
            ("v1", "spec.subsets[0]"), ("v2", "spec.subsets[1]"),
        ]  # fmt: skip
        assert [e.subsets for e in view.endpoints] == [("v1",), ("v2",)]
        assert "load balancing: RANDOM" in view.policies[0].says

    asyncio.run(with_server(scenario))


def test_a_service_without_rules_and_one_that_is_not_there() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client)
        view = await ask(socket, "/v1/services/default/reviews", ServiceView)
        (route,) = view.tables[0].routes
        assert route.source is not None
        assert route.source.kind == "Service"
        assert [target.host for target in route.targets] == ["reviews.default.svc.cluster.local"]
        response = await raw(socket, "GET", "/v1/services/default/nobody")
        assert response.status_code == 404
        assert "nobody" in response.json()["error"]["message"]

    asyncio.run(with_server(scenario))


def test_routes_through_a_gateway_have_a_table_of_their_own() -> None:
    rule = ROUTES.replace("hosts: [reviews]", 'hosts: ["shop.example"]\n  gateways: [web]')

    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, rule)
        view = await ask(socket, "/v1/services/default/reviews", ServiceView)
        inside, outside = view.tables
        assert inside.gateway == "mesh"
        assert len(inside.routes) == 1
        assert (outside.gateway, outside.hosts) == ("default/web", ("shop.example",))
        assert len(outside.routes) == 2

    asyncio.run(with_server(scenario))


def test_delegated_routes_name_the_object_that_they_are_written_in() -> None:
    root = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: default}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: /a}}]
    delegate: {name: leaf}
"""
    leaf = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf, namespace: default}
spec:
  http:
  - match: [{uri: {prefix: /a/b}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
"""

    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client, root, leaf)
        view = await ask(socket, "/v1/services/default/reviews", ServiceView)
        first, second, last = view.tables[0].routes
        assert first.source is not None
        assert [(r.field, r.matches) for r in (first, second)] == [
            ("spec.http[0]", ("path starts with /a/b",)),
            ("spec.http[1]", ("path starts with /a",)),
        ]
        assert first.source.name == "leaf"
        assert last.actions == ("answer 404: no route matches",)

    asyncio.run(with_server(scenario))


def test_references_lead_both_ways() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(
            client, ROUTES.replace("hosts: [reviews]", "hosts: [reviews]\n  gateways: [web]")
        )
        found = await ask(socket, f"/v1/objects/{RULE}/references", References)
        named = {(each.key.kind, each.key.name, each.exists) for each in found.to}
        assert named == {
            ("Service", "reviews", True),
            ("DestinationRule", "reviews", True),
            ("Gateway", "web", False),
        }
        path = "/v1/objects/networking.istio.io/DestinationRule/default/reviews/references"
        back = await ask(socket, path, References)
        assert "spec.http[0].route[0].destination.subset" in {each.field for each in back.by}

    asyncio.run(with_server(scenario))


def test_kinds_and_their_fields_are_told() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        kinds = (await ask(socket, "/v1/kinds", KindList)).items
        assert [k.api_version for k in kinds if k.kind == "VirtualService"] == [
            "networking.istio.io/v1"
        ]
        for kind in kinds:
            schema = await ask(socket, f"/v1/schema/{kind.group or 'core'}/{kind.kind}", dict)
            assert schema["$defs"], kind
        path = "/v1/schema/networking.istio.io/VirtualService"
        route = (await ask(socket, path, dict[str, Any]))["$defs"]["HTTPRoute"]["properties"]
        assert {"timeout", "corsPolicy", "mirrorPercentage"} <= route.keys()
        assert (await raw(socket, "GET", "/v1/schema/x/Y")).status_code == 400

    asyncio.run(with_server(scenario))


def test_a_proxy_that_is_not_connected_is_not_found() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        assert (await raw(socket, "GET", "/v1/proxies/nobody")).status_code == 404
        response = await raw(socket, "GET", "/v1/proxies/nobody/resources/RDS/9080")
        assert response.status_code == 404

    asyncio.run(with_server(scenario))
    assert ProxyDetail.__struct_fields__[0] == "proxy"


def test_a_dry_run_says_with_lines_what_the_mesh_would_say() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await shop(client)
        text = ROUTES.replace("subset: v1}, weight", "subset: v9}, weight")
        response = await raw(socket, "POST", "/v1/apply?dryRun=true", content=text.encode())
        (item,) = response.json()["items"]
        (found,) = item["diagnostics"]
        assert found["line"] == 1 + text.splitlines().index(
            "    - {destination: {host: reviews, subset: v9}, weight: 90}"
        )
        assert "v9" in found["problem"]
        assert (await raw(socket, "GET", f"/v1/objects/{RULE}")).status_code == 404

    asyncio.run(with_server(scenario))


def test_a_dry_run_takes_its_documents_together() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        both = f"{SHOP}---\n{ROUTES}"
        response = await raw(socket, "POST", "/v1/apply?dryRun=true", content=both.encode())
        assert [item["diagnostics"] for item in response.json()["items"]] == [[]] * 5

    asyncio.run(with_server(scenario))
