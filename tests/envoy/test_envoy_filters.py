"""The two EnvoyFilters that people use most, in a real Envoy."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.envoy.mesh import answer, eventually_answers, ingress, live_mesh
from tests.envoy.rig import free_port
from tests.envoy.test_holds import rule
from tests.envoy.worlds import LISTENING

FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: ours}}
spec:
  workloadSelector: {{labels: {{istio: ingressgateway}}}}
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: GATEWAY
      listener: {{filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager}}}}}}
    patch: {{operation: INSERT_BEFORE, value: {{name: ours, typed_config: {{{config}}}}}}}
---
"""
TYPE = "type.googleapis.com/envoy.extensions.filters.http"
LUA = f"""'@type': {TYPE}.lua.v3.Lua, default_source_code: {{inline_string:
  "function envoy_on_request(h) h:respond({{[':status'] = '299'}}, 'lua') end"}}"""
LIMIT = f"""'@type': {TYPE}.local_ratelimit.v3.LocalRateLimit, stat_prefix: limit,
  token_bucket: {{max_tokens: 2, tokens_per_fill: 2, fill_interval: 600s}},
  filter_enabled: {{default_value: {{numerator: 100}}}},
  filter_enforced: {{default_value: {{numerator: 100}}}}"""


def test_a_lua_filter_answers_requests(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        text = LISTENING.format(port=port) + rule("a", "one") + FILTER.format(config=LUA)
        async with live_mesh(tmp_path, text) as mesh, ingress(tmp_path):
            assert await eventually_answers(port, "a.example.com") == (299, "lua")
            assert (await mesh.status("EnvoyFilter", "ours")).text == "in force 1/1"

    asyncio.run(scenario())


def test_a_local_rate_limit_limits(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        text = LISTENING.format(port=port) + rule("a", "one") + FILTER.format(config=LIMIT)
        async with live_mesh(tmp_path, text), ingress(tmp_path):
            assert (await eventually_answers(port, "a.example.com"))[0] == 200
            codes = [(await answer(port, "a.example.com"))[0] for _ in range(3)]
            assert codes == [200, 429, 429]

    asyncio.run(scenario())
