from __future__ import annotations

import asyncio
import os
import pwd
import socket as sockets
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from clew.api.answers import ApiError, Unreachable, WatchEnded
from clew.api.async_client import AsyncClient
from clew.api.client import Client
from clew.api.messages import ProxyStatus, TypeStatus
from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic, Place, Severity
from clew.server.api import build_app, serve_api
from clew.stores.directory import DirectoryStore
from tests.server.api_server import raw, run
from tests.stores.memory import MemoryStore
from tests.stores.objects import config_map, key, noon, pod, put

REVIEWS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews}}]
"""
REVIEWS_KEY = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")
MISSPELT = REVIEWS.replace("route:", "rout:").replace("name: reviews", "name: bad")


def test_a_list_is_of_names_and_status_alone_where_that_is_enough() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply(REVIEWS)
        (whole,) = (await raw(socket, "GET", "/v1/objects")).json()["items"]
        (outline,) = (await raw(socket, "GET", "/v1/objects?only=status")).json()["items"]
        assert whole["spec"]
        assert set(outline) <= {"apiVersion", "kind", "metadata", "status"}
        assert outline["metadata"].items() <= whole["metadata"].items()
        assert outline["metadata"]["generation"] == 1
        assert outline.get("status") == whole.get("status")
        refused = await raw(socket, "GET", "/v1/objects?only=spec")
        assert refused.status_code == 400

    run(scenario)


def test_an_applied_object_can_be_read_listed_and_deleted() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        (created,) = (await client.apply(REVIEWS)).items
        assert (created.result, created.revision) == ("created", 1)
        manifest = await client.get(REVIEWS_KEY)
        assert manifest["metadata"]["namespace"] == "default"
        assert manifest["metadata"]["resourceVersion"] == "1"
        assert (await client.list(kinds=["VirtualService"])).items == (manifest,)
        assert (await client.delete(REVIEWS_KEY)).result == "deleted"
        with pytest.raises(ApiError, match="there is no VirtualService default/reviews"):
            await client.get(REVIEWS_KEY)

    run(scenario)


def test_each_document_of_an_apply_stands_on_its_own() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        report = await client.apply(f"{MISSPELT}---\n{REVIEWS}", file="both.yaml")
        bad, good = report.items
        assert (bad.result, good.result) == ("refused", "created")
        assert bad.key.resource_key().name == "bad"
        assert bad.diagnostics[0].text.startswith("both.yaml:7:5: Error VirtualService default/bad")
        assert "did you mean" in bad.diagnostics[0].hint
        assert len((await client.list()).items) == 1

    run(scenario)


def test_an_apply_says_created_configured_or_unchanged() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        results = []
        for text in (REVIEWS, REVIEWS, REVIEWS.replace("[reviews]", "[ratings]")):
            results.append((await client.apply(text)).items[0].result)
        assert results == ["created", "unchanged", "configured"]

    run(scenario)


def test_a_dry_run_decides_everything_and_stores_nothing() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        response = await raw(socket, "POST", "/v1/apply?dryRun=true", content=REVIEWS)
        assert response.json()["items"][0]["result"] == "created"
        assert response.json()["dryRun"] is True
        assert (await client.list()).items == ()
        await client.apply(REVIEWS)
        changed = REVIEWS.replace("[reviews]", "[ratings]")
        results = []
        for text in (changed, REVIEWS):
            response = await raw(socket, "POST", "/v1/apply?dryRun=true", content=text)
            results.append(response.json()["items"][0]["result"])
        assert results == ["configured", "unchanged"]
        response = await raw(
            socket, "DELETE", "/v1/objects/networking.istio.io/VirtualService/default/reviews",
            params={"dryRun": "true"},
        )  # fmt: skip
        assert response.json()["result"] == "deleted"
        assert (await client.get(REVIEWS_KEY))["spec"]["hosts"] == ["reviews"]

    run(scenario)


def test_the_namespace_is_the_documents_or_the_requests_or_default() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply(REVIEWS, namespace="shop")
        await client.apply(REVIEWS.replace("{name:", "{namespace: own, name:"), namespace="shop")
        await client.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
        listed = (await client.list()).items
        namespaces = {manifest["metadata"].get("namespace") for manifest in listed}
        assert namespaces == {"shop", "own", None}
        assert len((await client.list(namespace="own")).items) == 2  # and the cluster's Namespace

    run(scenario)


def test_a_write_of_an_outdated_version_conflicts() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply(REVIEWS)
        seen = await client.get(REVIEWS_KEY)
        await client.apply(REVIEWS.replace("[reviews]", "[ratings]"))
        (refused,) = (await client.apply_manifest(seen)).items
        assert refused.result == "refused"
        assert "was changed meanwhile" in refused.error
        path = "/v1/objects/networking.istio.io/VirtualService/default/reviews"
        response = await raw(socket, "PUT", path, json=seen)
        assert response.status_code == 409

    run(scenario)


def test_put_writes_the_object_that_its_path_names() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        path = "/v1/objects/core/ConfigMap/default/settings"
        assert (await raw(socket, "PUT", path, json=config_map())).status_code == 201
        assert (await raw(socket, "PUT", path, json=config_map(a="1"))).status_code == 200
        other = await raw(socket, "PUT", path, json=config_map("other"))
        assert other.status_code == 400
        assert "the path names ConfigMap default/settings" in other.json()["error"]["message"]
        bad = await raw(socket, "PUT", path, json=config_map() | {"data": 3})
        assert bad.status_code == 422

    run(scenario)


def test_status_is_written_apart_and_survives_an_apply() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply_manifest(pod("web-1"))
        await client.put_status(key("web-1", "Pod"), {"podIP": "10.0.0.1"})
        labelled = pod("web-1", ip="10.9.9.9")
        labelled["metadata"]["labels"] = {"app": "web"}
        await client.apply_manifest(labelled)
        manifest = await client.get(key("web-1", "Pod"))
        assert manifest["status"] == {"podIP": "10.0.0.1"}
        assert manifest["metadata"]["generation"] == 1
        with pytest.raises(ApiError, match="this is no status of a Pod"):
            await client.put_status(key("web-1", "Pod"), {"podIP": 7})

    run(scenario)


def test_a_service_keeps_its_address_when_its_file_is_applied_again() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        service = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {%s}}"
        await client.apply(service % "clusterIP: 10.1.1.1, ports: [{port: 80}]")
        (same,) = (await client.apply(service % "ports: [{port: 80}]")).items
        (changed,) = (await client.apply(service % "ports: [{port: 81}]")).items
        (moved,) = (await client.apply(service % "clusterIP: 10.1.1.2")).items
        assert [item.result for item in (same, changed, moved)] == [
            "unchanged", "configured", "configured",
        ]  # fmt: skip
        addresses = [item.object["spec"]["clusterIP"] for item in (changed, moved) if item.object]
        assert addresses == ["10.1.1.1", "10.1.1.2"]

    run(scenario)


def test_the_history_tells_who_did_what() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply(REVIEWS)
        await client.apply(REVIEWS.replace("[reviews]", "[ratings]"), author="grace")
        response = await raw(
            socket, "GET", "/v1/objects/networking.istio.io/VirtualService/default/reviews/history"
        )
        items = response.json()["items"]
        assert [(item["author"], item["action"]) for item in items] == [
            ("grace", "update"),
            (pwd.getpwuid(os.getuid()).pw_name, "create"),
        ]

    run(scenario)


def test_a_rollback_brings_the_previous_revision_back() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        path = "/v1/objects/networking.istio.io/VirtualService/default/reviews/rollback"
        for host in ("one", "two", "three"):
            await client.apply(REVIEWS.replace("[reviews]", f"[{host}]"))
        response = await raw(socket, "POST", path)
        assert response.json()["object"]["spec"]["hosts"] == ["two"]
        response = await raw(socket, "POST", path, params={"revision": 1})
        assert response.json()["object"]["spec"]["hosts"] == ["one"]
        response = await raw(socket, "POST", path, params={"revision": 77})
        assert response.status_code == 404
        assert "its newest are: 5, 4, 3, 2, 1" in response.json()["error"]["message"]

    run(scenario)


def test_a_rollback_brings_a_deleted_object_back() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        path = "/v1/objects/networking.istio.io/VirtualService/default/reviews/rollback"
        await client.apply(REVIEWS)
        assert (await raw(socket, "POST", path)).status_code == 404
        await client.delete(REVIEWS_KEY)
        assert (await raw(socket, "POST", path)).status_code == 201
        assert (await client.get(REVIEWS_KEY))["metadata"]["generation"] == 1

    run(scenario)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=a", {"a"}),
        ("app==a", {"a"}),
        ("app!=a", {"b", "none"}),
        ("app in (a, b)", {"a", "b"}),
        ("app notin (a),app", {"b"}),
        ("!app", {"none"}),
    ],
)
def test_a_label_selector_selects(selector: str, names: set[str]) -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        for name in ("a", "b", "none"):
            manifest = config_map(name)
            if name != "none":
                manifest["metadata"]["labels"] = {"app": name}
            await client.apply_manifest(manifest)
        response = await raw(socket, "GET", "/v1/objects", params={"labelSelector": selector})
        assert {item["metadata"]["name"] for item in response.json()["items"]} == names

    run(scenario)


def test_requests_that_make_no_sense_get_reasons() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        async def answer(method: str, path: str, **options: Any) -> tuple[int, str, str]:
            response = await raw(socket, method, path, **options)
            error = response.json()["error"]
            return response.status_code, error["reason"], error["message"]

        status, reason, message = await answer("GET", "/v1/objects?labelSelector=a%20b")
        assert (status, reason) == (400, "BadRequest")
        assert message == '"a b" is no label selector'
        assert (await answer("GET", "/v1/objects/core/Frob/default/x"))[0] == 404
        assert (await answer("GET", "/v1/objects/core/Pod/_/x"))[0] == 404
        assert (await answer("GET", "/v1/objects/core/Pod/default/x"))[0] == 404
        assert (await answer("GET", "/v1/nothing"))[:2] == (404, "NotFound")
        assert (await answer("PATCH", "/v1/objects"))[:2] == (405, "MethodNotAllowed")
        assert (await answer("GET", "/v1/watch?since=x"))[0] == 400
        assert (await answer("POST", "/v1/apply", content=b"\xff"))[0] == 400
        levels = await answer("POST", "/v1/log-levels", content=b'{"workload": 1}')
        assert levels[:2] == (400, "BadRequest")
        assert "Expected `str`, got `int` - at `$.workload`" in levels[2]
        large = await answer("POST", "/v1/apply", content=b"#" * (8 * 1024 * 1024 + 1))
        assert large[:2] == (413, "TooLarge")

    run(scenario)


def test_a_read_only_store_refuses_writes(tmp_path: Path) -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        with pytest.raises(ApiError, match="change those") as caught:
            await client.apply(REVIEWS)
        assert caught.value.problem.reason == "ReadOnly"

    run(scenario, DirectoryStore(tmp_path))


def test_a_watch_streams_what_changes() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        stream = client.watch(0, kinds=["ConfigMap"])
        assert (await anext(stream)).changes == ()
        await client.apply_manifest(config_map("a"))
        changes = await anext(stream)
        assert changes.changes[0].key.resource_key() == key("a")
        assert changes.changes[0].object == await client.get(key("a"))
        await client.delete(key("a"))
        assert (await anext(stream)).changes[0].object is None
        await stream.aclose()  # type: ignore[attr-defined]  # it is an async generator

    run(scenario)


def test_an_expired_watch_says_so() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        stream = client.watch(99)
        await anext(stream)
        with pytest.raises(WatchEnded, match="list again"):
            await anext(stream)

    run(scenario)


def test_following_survives_a_restart_of_the_server() -> None:
    async def scenario() -> None:
        store = MemoryStore(now=noon)
        with tempfile.TemporaryDirectory(prefix="clew") as directory:
            socket = Path(directory) / "api.sock"
            async with AsyncClient(socket) as client:
                with pytest.raises(Unreachable):
                    await client.ready()
            app = build_app(store, mesh_status=tuple, now=noon)
            serving = asyncio.ensure_future(serve_api(app, socket))
            async with AsyncClient(socket) as client:
                await _ready(client)
                followed = client.follow(kinds=["ConfigMap"])
                assert await anext(followed) == {}
                await put(store, config_map("a"))
                assert set(await anext(followed)) == {key("a")}
                again = asyncio.ensure_future(anext(followed))
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                with pytest.raises(Unreachable):
                    await again
                await put(store, config_map("b"))
                app = build_app(store, mesh_status=tuple, now=noon)
                serving = asyncio.ensure_future(serve_api(app, socket))
                await _ready(client)
                assert set(await anext(client.follow())) == {key("a"), key("b")}
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scenario())


async def _ready(client: AsyncClient) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                assert await client.ready()
                return
            except Unreachable:
                await asyncio.sleep(0.01)


def test_only_the_owner_may_open_the_socket() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        assert stat.S_IMODE(os.lstat(socket).st_mode) == 0o600

    run(scenario)


def test_a_second_server_on_the_same_socket_is_refused() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        app = build_app(MemoryStore(now=noon), mesh_status=tuple, now=noon)
        with pytest.raises(OSError, match="another control plane running"):
            await serve_api(app, socket)
        assert await client.ready()

    run(scenario)


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        with tempfile.TemporaryDirectory(prefix="clew") as directory:
            path = Path(directory) / "api.sock"
            left = sockets.socket(sockets.AF_UNIX)
            left.bind(str(path))
            left.close()
            app = build_app(MemoryStore(now=noon), mesh_status=tuple, now=noon)
            serving = asyncio.ensure_future(serve_api(app, path))
            async with AsyncClient(path) as client:
                await _ready(client)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scenario())


def test_a_watcher_that_goes_away_leaves_nothing_behind() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        before = len(asyncio.all_tasks())
        async with AsyncClient(socket) as other:
            stream = other.watch(0)
            await anext(stream)
            assert len(asyncio.all_tasks()) > before
            await stream.aclose()  # type: ignore[attr-defined]  # it is an async generator
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110  # tasks set no Event
                await asyncio.sleep(0.01)

    run(scenario)


def test_proxies_and_problems_are_what_the_control_plane_says() -> None:
    proxy = ProxyStatus(
        name="reviews-v1",
        namespace="default",
        types={
            "CDS": TypeStatus(state="nacked", error="bad cluster", resources=("outbound|1||a",))
        },
    )
    problem = Diagnostic(severity=Severity.ERROR, place=Place(file="x.yaml"), problem="is bad")

    async def scenario(client: AsyncClient, socket: Path) -> None:
        assert (await client.proxies()).proxies == (proxy,)
        with Client(socket) as blocking:
            problems = await asyncio.to_thread(blocking.problems)
        assert problems.problems[0].text == "x.yaml: Error\n  is bad"

    run(scenario, proxies=(proxy,), problems=(problem,))
