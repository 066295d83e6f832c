"""Headers by which proxies speak to each other, which nobody outside may send."""

from __future__ import annotations

from clew._pb.envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from clew._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from clew._pb.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2,
)
from clew.compile.typed_config import typed_config


def _without_prefix(prefix: str) -> TypedExtensionConfig:
    removal = HeaderMutation()
    removal.remove_on_match.key_matcher.prefix = prefix
    config = header_mutation_pb2.HeaderMutation(mutations=[removal])
    return TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=typed_config(config),
    )


# Envoy removes by itself only those that it acts on: others would reach the workloads, who know
# of no difference between their own gateway and its clients.
NO_WORDS_OF_PROXIES = _without_prefix("x-envoy-")
