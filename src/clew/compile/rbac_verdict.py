"""What Envoy's RBAC filters decide on one request: the very rules that it gets, worked out here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import re2

from clew._pb.envoy.config.core.v3.address_pb2 import CidrRange
from clew._pb.envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from clew._pb.envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from clew._pb.envoy.extensions.path.match.uri_template.v3.uri_template_match_pb2 import (
    UriTemplateMatchConfig,
)
from clew._pb.envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew._pb.envoy.type.matcher.v3.value_pb2 import ValueMatcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What policies may look at; "" or None: it has none.

    ``principal``: ``spiffe://…``, of the client's certificate. ``headers`` in lower case, with
    ``:method``, ``:path`` and ``:authority``; without them it is a connection. ``metadata``: what
    filters noted, by their names.
    """

    port: int
    principal: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    source_ip: str = ""
    remote_ip: str = ""
    destination_ip: str = ""
    server_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.headers.get(":path", "").partition("?")[0].partition("#")[0]


def matching_rule(rules: RBAC, request: Request) -> str:
    """Return the name of the rule that matches, of several the first by name; "" if none does."""
    return next((n for n in sorted(rules.policies) if _matches(rules.policies[n], request)), "")


def _matches(policy: Policy, request: Request) -> bool:
    return any(_does(each, request) for each in policy.permissions) and any(
        _is(each, request) for each in policy.principals
    )


def _does(permission: Permission, request: Request) -> bool:
    match permission.WhichOneof("rule"):
        case "any":
            return True
        case "and_rules":
            return all(_does(each, request) for each in permission.and_rules.rules)
        case "or_rules":
            return any(_does(each, request) for each in permission.or_rules.rules)
        case "not_rule":
            return not _does(permission.not_rule, request)
        case "header":
            return _header(permission.header, request.headers)
        case "url_path":
            return _text(permission.url_path.path, request.path)
        case "uri_template":
            template = UriTemplateMatchConfig()
            permission.uri_template.typed_config.Unpack(template)
            return _template(template.path_template, request.path)
        case "destination_port":
            return permission.destination_port == request.port
        case "destination_ip":
            return _address(permission.destination_ip, request.destination_ip)
        case "requested_server_name":
            return _text(permission.requested_server_name, request.server_name)
        case "metadata":
            return _noted(permission.metadata, request.metadata)
        case other:
            raise NotImplementedError(f"permission {other}")


def _is(principal: Principal, request: Request) -> bool:
    match principal.WhichOneof("identifier"):
        case "any":
            return True
        case "and_ids":
            return all(_is(each, request) for each in principal.and_ids.ids)
        case "or_ids":
            return any(_is(each, request) for each in principal.or_ids.ids)
        case "not_id":
            return not _is(principal.not_id, request)
        case "authenticated":
            name = principal.authenticated.principal_name
            return bool(request.principal) and _text(name, request.principal)
        case "direct_remote_ip":
            return _address(principal.direct_remote_ip, request.source_ip)
        case "remote_ip":
            return _address(principal.remote_ip, request.remote_ip or request.source_ip)
        case "header":
            return _header(principal.header, request.headers)
        case "metadata":
            return _noted(principal.metadata, request.metadata)
        case other:
            raise NotImplementedError(f"principal {other}")


def _header(wanted: HeaderMatcher, headers: Mapping[str, str]) -> bool:
    value = headers.get(wanted.name.lower())
    if value is None or wanted.WhichOneof("header_match_specifier") == "present_match":
        return value is not None
    return _text(wanted.string_match, value)


def _text(wanted: StringMatcher, value: str) -> bool:
    fold = str.lower if wanted.ignore_case else str
    match wanted.WhichOneof("match_pattern"):
        case "exact":
            return fold(value) == fold(wanted.exact)
        case "prefix":
            return fold(value).startswith(fold(wanted.prefix))
        case "suffix":
            return fold(value).endswith(fold(wanted.suffix))
        case "safe_regex":
            return _whole(wanted.safe_regex.regex, value)
        case other:
            raise NotImplementedError(f"text {other}")


def _template(template: str, path: str) -> bool:
    """Source: Envoy's URI templates: ``*`` is one segment, ``**`` any number of them."""
    operators = {"*": "[^/]+", "**": ".*"}
    parts = (operators.get(part) or re2.escape(part) for part in template.split("/"))
    return _whole("/".join(parts), path)


def _whole(expression: str, text: str) -> bool:
    """Whether an expression, in Envoy's RE2, matches all of the text."""
    return re2.fullmatch(expression, text) is not None


def _address(wanted: CidrRange, address: str) -> bool:
    if not address:
        return False
    network = ip_network(f"{wanted.address_prefix}/{wanted.prefix_len.value}", strict=False)
    return ip_address(address) in network


def _noted(wanted: MetadataMatcher, metadata: Mapping[str, Any]) -> bool:
    found: Any = metadata.get(wanted.filter)
    for step in wanted.path:
        found = found.get(step.key) if isinstance(found, Mapping) else None
    return _value(wanted.value, found)


def _value(wanted: ValueMatcher, found: Any) -> bool:
    match wanted.WhichOneof("match_pattern"):
        case "string_match":
            return isinstance(found, str) and _text(wanted.string_match, found)
        case "list_match":
            listed: Iterable[Any] = found if isinstance(found, list | tuple) else ()
            return any(_value(wanted.list_match.one_of, each) for each in listed)
        case "or_match":
            return any(_value(each, found) for each in wanted.or_match.value_matchers)
        case other:
            raise NotImplementedError(f"value {other}")
