"""Tokens at a real gateway: keys that Envoy fetches, claims in headers and routes, refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.envoy.mesh import LiveMesh, ingress, live_mesh
from tests.envoy.program import echo
from tests.envoy.rig import free_port
from tests.envoy.tokens import issuer
from tests.envoy.worlds import LISTENING, SERVICE

ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["*"]
  gateways: [web]
  http:
  - match: [{headers: {"@request.auth.claims.groups": {exact: staff}}}]
    directResponse: {status: 200, body: {string: staff}}
  - match: [{headers: {"@request.auth.claims.scope": {exact: "read"}}}]
    directResponse: {status: 200, body: {string: reader}}
  - route: [{destination: {host: web.example.com, port: {number: 80}}}]
"""


def policy(*rules: Mapping[str, Any], name: str = "tokens") -> str:
    spec = {"selector": {"matchLabels": {"istio": "ingressgateway"}}, "jwtRules": list(rules)}
    found = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": name},
        "spec": spec,
    }
    return json.dumps(found)


@dataclass
class Gateway:
    mesh: LiveMesh
    port: int

    async def ask(self, path: str = "/", **request: Any) -> tuple[int, str]:
        async with httpx2.AsyncClient() as client:
            response = await client.get(f"http://127.0.0.1:{self.port}{path}", **request)
            return response.status_code, response.text

    async def eventually(self, wanted: int, path: str = "/", **request: Any) -> str:
        """The body of the first answer with this status."""
        async with asyncio.timeout(20):
            while True:
                with suppress(httpx2.TransportError):
                    status, text = await self.ask(path, **request)
                    if status == wanted:
                        return text
                await asyncio.sleep(0.05)


@asynccontextmanager
async def gateway(folder: Path, *more: str) -> AsyncIterator[Gateway]:
    port = free_port()
    async with echo() as backend:
        world = (LISTENING.format(port=port), SERVICE.format(backend=backend), ROUTES)
        text = "\n---\n".join((*world, *more))
        async with live_mesh(folder, text) as mesh, ingress(folder):
            found = Gateway(mesh, port)
            await found.eventually(200)
            yield found


def test_keys_are_fetched_from_their_server_and_a_new_one_takes_over(tmp_path: Path) -> None:
    """The filter keeps keys for minutes; a patch makes that a moment, and repeats the rest."""
    patch = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: soon}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: GATEWAY
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            subFilter: {{name: envoy.filters.http.jwt_authn}}
    patch:
      operation: MERGE
      value:
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
          providers:
            origins-0:
              issuer: https://login.example.com
              remote_jwks:
                cache_duration: 0.2s
                http_uri:
                  uri: http://127.0.0.1:{keys}/keys
                  cluster: jwks|{keys}||127.0.0.1
                  timeout: 5s
"""

    async def scenario() -> None:
        login = issuer("https://login.example.com")
        async with login.server() as keys:
            rule = {"issuer": login.name, "jwksUri": f"http://127.0.0.1:{keys}/keys"}
            async with gateway(tmp_path, policy(rule), patch.format(keys=keys)) as web:
                await web.eventually(401, headers={"authorization": "Bearer no.such.token"})
                assert (await web.ask(headers=login.bearer()))[0] == 200
                before = login.bearer()
                login.rotate("two")
                await web.eventually(401, headers=before)
                assert (await web.ask(headers=login.bearer()))[0] == 200

    asyncio.run(scenario())


def test_keys_at_a_service_of_the_mesh_are_fetched_through_it(tmp_path: Path) -> None:
    service = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: login}}
spec:
  hosts: [login.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {keys}}}}}]
"""

    async def scenario() -> None:
        login = issuer("https://login.example.com")
        async with login.server() as keys:
            rule = {"issuer": login.name, "jwksUri": "http://login.example.com/keys"}
            async with gateway(tmp_path, policy(rule), service.format(keys=keys)) as web:
                await web.eventually(401, headers={"authorization": "Bearer no.such.token"})
                assert (await web.ask(headers=login.bearer()))[0] == 200
        assert login.asked[0] == "/keys"

    asyncio.run(scenario())


def test_an_issuer_that_says_where_its_keys_are_needs_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        login = issuer("https://login.example.com")
        async with login.server() as keys, gateway(tmp_path, policy({"issuer": login.name})) as web:
            await web.eventually(401, headers=login.bearer())
            status = await web.mesh.status("RequestAuthentication", "tokens")
            assert "nobody says where the keys of https://login.example.com are" in str(status)
            learned = {login.name: f"http://127.0.0.1:{keys}/keys"}
            web.mesh.directory.publisher.learn(learned)
            await web.eventually(200, headers=login.bearer())

    asyncio.run(scenario())


def test_refusals_say_what_is_wrong_with_a_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        login, other = issuer("https://login.example.com"), issuer("https://other.example.com")
        forged = issuer(login.name)
        rule = {"issuer": login.name, "jwks": login.jwks(), "audiences": ["web"]}
        async with gateway(tmp_path, policy(rule)) as web:

            async def refusal(headers: Mapping[str, str]) -> str:
                return await web.eventually(401, headers=headers)

            assert await refusal(other.bearer(aud="web")) == "Jwt issuer is not configured"
            assert await refusal(forged.bearer(aud="web")) == "Jwt verification fails"
            assert await refusal(login.bearer(aud="web", exp=1)) == "Jwt is expired"
            assert await refusal({"authorization": "Bearer x"}) == (
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
            )
            assert (await web.ask(headers=login.bearer(aud="other")))[0] == 403
            assert (await web.ask(headers=login.bearer(aud=["other", "web"])))[0] == 200
            assert (await web.ask())[0] == 200

    asyncio.run(scenario())


def test_claims_reach_the_application_and_decide_on_routes(tmp_path: Path) -> None:
    async def scenario() -> None:
        login, other = issuer("https://login.example.com"), issuer("https://other.example.com")
        rules: tuple[dict[str, Any], ...] = (
            {
                "issuer": login.name,
                "jwks": login.jwks(),
                "outputClaimToHeaders": [{"header": "x-subject", "claim": "sub"}],
                "outputPayloadToHeader": "x-payload",
            },
            {
                "issuer": other.name,
                "jwks": other.jwks(),
                "forwardOriginalToken": True,
                "fromHeaders": [{"name": "x-token", "prefix": "Token "}],
                "fromParams": ["token"],
                "fromCookies": ["session"],
            },
        )
        policies = [policy(rule, name=f"tokens-{i}") for i, rule in enumerate(rules)]
        async with gateway(tmp_path, *policies) as web:
            await web.eventually(401, headers={"authorization": "Bearer x"})
            status, head = await web.ask(headers=login.bearer(sub="ann"))
            assert status == 200
            assert "x-subject: ann" in head
            assert "x-payload: ey" in head
            assert "authorization" not in head
            # Nobody but the filter says what a token claims.
            forged = {"x-subject": "ann", "x-payload": "forged"}
            head = (await web.ask(headers=forged))[1]
            assert "x-subject" not in head
            assert "x-payload" not in head
            requests: tuple[dict[str, Any], ...] = (
                {"headers": {"x-token": f"Token {other.token()}"}},
                {"params": {"token": other.token()}},
                {"headers": {"cookie": f"session={other.token()}"}},
            )
            for request in requests:
                status, head = await web.ask(**request)
                assert status == 200
                assert other.token().split(".")[1] in head
            assert (await web.ask(headers=login.bearer(groups=["staff"])))[1] == "staff"
            assert (await web.ask(headers=login.bearer(scope="write read")))[1] == "reader"

    asyncio.run(scenario())
