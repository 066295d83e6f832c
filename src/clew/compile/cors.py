"""A VirtualService's ``corsPolicy``."""

from __future__ import annotations

from clew._pb.envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy as EnvoyCorsPolicy
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew._pb.envoy.type.v3.percent_pb2 import FractionalPercent
from clew.compile.route_match import string_matcher
from clew.model.virtual_service import CorsPolicy, UnmatchedPreflights

FILTER = "envoy.filters.http.cors"


def compile_cors(policy: CorsPolicy) -> EnvoyCorsPolicy:
    origins = [string_matcher(origin) for origin in policy.allow_origins]
    origins += [StringMatcher(exact=origin) for origin in policy.allow_origin]
    compiled = EnvoyCorsPolicy(
        allow_origin_string_match=origins,
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
    )
    compiled.filter_enabled.default_value.CopyFrom(
        FractionalPercent(numerator=100, denominator=FractionalPercent.HUNDRED)
    )
    if policy.max_age is not None:
        compiled.max_age = str(int(policy.max_age.seconds))
    if policy.allow_credentials is not None:
        compiled.allow_credentials.value = policy.allow_credentials
    ignored = policy.unmatched_preflights is UnmatchedPreflights.IGNORE
    compiled.forward_not_matching_preflights.value = not ignored
    return compiled
