"""Values of AuthorizationPolicies as Envoy's matchers: exact, ``prefix*``, ``*suffix``, ``*``.

Text from users reaches regular expressions only in quotes.
Source: istio ``pilot/pkg/security/authz/matcher``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_interface

from clew._pb.envoy.config.core.v3.address_pb2 import CidrRange
from clew._pb.envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from clew._pb.envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from clew._pb.envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew._pb.envoy.type.matcher.v3.value_pb2 import ValueMatcher

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_PRESENT = ".+"


def quoted(text: str) -> str:
    """``text`` as a part of a regular expression of RE2."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), text)


def pattern(text: str) -> str:
    """``text`` as a part of a regular expression in which each ``*`` stands for anything."""
    return ".*".join(quoted(part) for part in text.split("*"))


def regex(expression: str) -> StringMatcher:
    return StringMatcher(safe_regex=RegexMatcher(regex=expression))


def text_matcher(value: str, *, ignore_case: bool = False) -> StringMatcher:
    if value == "*":
        return regex(_PRESENT)
    if value.startswith("*"):
        return StringMatcher(suffix=value[1:], ignore_case=ignore_case)
    if value.endswith("*"):
        return StringMatcher(prefix=value[:-1], ignore_case=ignore_case)
    return StringMatcher(exact=value, ignore_case=ignore_case)


def header_matcher(name: str, value: str, *, ignore_case: bool = False) -> HeaderMatcher:
    if value == "*":
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=text_matcher(value, ignore_case=ignore_case))


def listed_header_matcher(name: str, value: str) -> HeaderMatcher:
    """Match a header that holds ``value`` among others, with commas between them."""
    if value == "*":
        return HeaderMatcher(name=name, present_match=True)
    item = "[^,]*".join(quoted(part) for part in value.split("*"))
    return HeaderMatcher(name=name, string_match=regex(rf"(.*,)?\s*{item}\s*(,.*)?"))


def address_range(value: str) -> CidrRange:
    """``10.0.0.0/8``, or one address."""
    interface = ip_interface(value)
    found = CidrRange(address_prefix=str(interface.network.network_address))
    found.prefix_len.value = interface.network.prefixlen
    return found


def metadata_matcher(name: str, path: Sequence[str], value: ValueMatcher) -> MetadataMatcher:
    """Match what the filter ``name`` noted under ``path``."""
    found = MetadataMatcher(filter=name, value=value)
    for key in path:
        found.path.add(key=key)
    return found


def text_value(value: str) -> ValueMatcher:
    return ValueMatcher(string_match=text_matcher(value))


def list_value(value: str) -> ValueMatcher:
    """Match a list that has ``value`` in it."""
    found = ValueMatcher()
    found.list_match.one_of.CopyFrom(text_value(value))
    return found


def any_value(values: Sequence[ValueMatcher]) -> ValueMatcher:
    found = ValueMatcher()
    found.or_match.value_matchers.extend(values)
    return found
