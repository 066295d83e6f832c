"""Who does it: a rule's ``from``, and those of its conditions that are about the source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from clew._pb.envoy.config.rbac.v3.rbac_pb2 import Principal
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew._pb.envoy.type.matcher.v3.value_pb2 import ValueMatcher
from clew.compile.rbac_values import (
    address_range,
    any_value,
    header_matcher,
    list_value,
    listed_header_matcher,
    metadata_matcher,
    pattern,
    quoted,
    regex,
    text_matcher,
    text_value,
)
from clew.compile.token_filter import PAYLOAD
from clew.compile.trust_domains import same_principals, same_trust_domains
from clew.model.authorization_policy import Condition, Rule, Source

_TOKENS = "envoy.filters.http.jwt_authn"
_SCHEME = "spiffe://"
_IN_BRACKETS = re.compile(r"\[([^\[\]]+)\]")
HEADERS, LISTED_HEADERS = "request.headers[", "request.experimental.inline.headers["
CLAIMS = "request.auth.claims["

_Make = Callable[[str], Principal]
# Conditions whose values are not matched one by one.
_CLAIM_OF = {"request.auth.audiences": ("aud",), "request.auth.presenter": ("azp",)}


def compile_principals(rule: Rule, namespace: str, trust_domains: Sequence[str]) -> list[Principal]:
    """Whose requests the rule matches; one alternative for each ``from``.

    ``namespace``: of service accounts that name none. ``trust_domains``: that mean the same.

    Source: istio ``authz/model.New``.
    """
    makers = _makers(namespace)
    conditions = [p for c in rule.when for p in _condition(c, makers, trust_domains)]
    sources = [each.source or Source() for each in rule.from_] or [Source()]
    return [_all([*_source(s, makers, trust_domains), *conditions]) for s in sources]


def _makers(namespace: str) -> dict[str, _Make]:
    """How one value of each condition is matched."""
    return {
        "source.ip": _address,
        "remote.ip": _remote_address,
        "source.namespace": _namespace,
        "source.serviceAccount": partial(_service_account, namespace),
        "source.principal": _principal,
        "source.trustDomain": _trust_domain,
        "request.auth.principal": _request_principal,
    }


def _source(
    source: Source, makers: dict[str, _Make], trust_domains: Sequence[str]
) -> Iterator[Principal]:
    listed = (
        ("source.principal", source.principals, source.not_principals),
        ("request.auth.principal", source.request_principals, source.not_request_principals),
        ("source.serviceAccount", source.service_accounts, source.not_service_accounts),
        ("source.namespace", source.namespaces, source.not_namespaces),
        ("source.trustDomain", source.trust_domains, source.not_trust_domains),
        ("remote.ip", source.remote_ip_blocks, source.not_remote_ip_blocks),
        ("source.ip", source.ip_blocks, source.not_ip_blocks),
    )
    for key, values, not_values in listed:
        condition = Condition(key=key, values=values, not_values=not_values)
        yield from _condition(condition, makers, trust_domains)


def _condition(
    condition: Condition, makers: dict[str, _Make], trust_domains: Sequence[str]
) -> Iterator[Principal]:
    key = condition.key
    if key in _CLAIM_OF or key.startswith(CLAIMS):
        path = _CLAIM_OF.get(key) or _IN_BRACKETS.findall(key)
        yield from _either(condition, partial(_claim, path))
        return
    make = makers.get(key)
    if key.startswith(HEADERS):
        make = partial(_header, key.removeprefix(HEADERS).removesuffix("]"))
    if key.startswith(LISTED_HEADERS):
        make = partial(_listed_header, key.removeprefix(LISTED_HEADERS).removesuffix("]"))
    if make is not None:
        widened = _widened(condition, trust_domains)
        yield from _either(widened, partial(_any_of, make))


def _widened(condition: Condition, trust_domains: Sequence[str]) -> Condition:
    widen = {"source.principal": same_principals, "source.trustDomain": same_trust_domains}.get(
        condition.key
    )
    if widen is None:
        return condition
    return Condition(
        key=condition.key,
        values=widen(condition.values, trust_domains),
        not_values=widen(condition.not_values, trust_domains),
    )


def _either(
    condition: Condition, make: Callable[[Sequence[str]], Principal]
) -> Iterator[Principal]:
    """Any of the values, if there are some, and none of those that are excluded."""
    if condition.values:
        yield make(condition.values)
    if condition.not_values:
        yield Principal(not_id=make(condition.not_values))


def _any_of(make: _Make, values: Sequence[str]) -> Principal:
    return Principal(or_ids=Principal.Set(ids=map(make, values)))


def _all(principals: Iterable[Principal]) -> Principal:
    found = list(principals) or [Principal(any=True)]
    return Principal(and_ids=Principal.Set(ids=found))


def _address(value: str) -> Principal:
    return Principal(direct_remote_ip=address_range(value))


def _remote_address(value: str) -> Principal:
    return Principal(remote_ip=address_range(value))


def _authenticated(name: StringMatcher) -> Principal:
    return Principal(authenticated=Principal.Authenticated(principal_name=name))


def _namespace(value: str) -> Principal:
    return _authenticated(regex(f".*/ns/{pattern(value)}/.*"))


def _service_account(own_namespace: str, value: str) -> Principal:
    namespace, _, name = value.rpartition("/")
    place, account = quoted(namespace or own_namespace), quoted(name)
    return _authenticated(regex(f"{_SCHEME}.+/ns/{place}/(.+/|)sa/{account}(/.+)?"))


def _trust_domain(value: str) -> Principal:
    return _authenticated(regex(f"{_SCHEME}{pattern(value)}/.*"))


def _principal(value: str) -> Principal:
    if value == "*":
        return _authenticated(text_matcher("*"))
    if value.startswith("*"):
        return _authenticated(regex(f"{_SCHEME}.*{quoted(value[1:])}"))
    return _authenticated(text_matcher(_SCHEME + value))


def _request_principal(value: str) -> Principal:
    """Match ``issuer/subject``. The issuer may have slashes, the subject has none.

    Source: Istio: of the two, ``*`` counts only where the whole begins or ends with it.
    """
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = _without_slash(value)
    leading = value.startswith("*")
    issued = text_value(issuer) if leading or not slash else _exactly(issuer)
    trailing = value.endswith("*") and not leading
    named = text_value(subject) if trailing or not slash else _exactly(subject)
    return _all([_claims(("iss",), issued), _claims(("sub",), named)])


def _exactly(value: str) -> ValueMatcher:
    return ValueMatcher(string_match=StringMatcher(exact=value))


def _without_slash(value: str) -> tuple[str, str]:
    if value.startswith("*"):
        return "*", value
    return (value, "*") if value.endswith("*") else (value, "")


def _claim(path: Sequence[str], values: Sequence[str]) -> Principal:
    """Match a claim that is one of ``values``, or a list with one of them."""
    alternatives = [make(value) for value in values for make in (list_value, text_value)]
    return _claims(path, any_value(alternatives))


def _claims(path: Sequence[str], value: ValueMatcher) -> Principal:
    return Principal(metadata=metadata_matcher(_TOKENS, (PAYLOAD, *path), value))


def _header(name: str, value: str) -> Principal:
    return Principal(header=header_matcher(name, value))


def _listed_header(name: str, value: str) -> Principal:
    return Principal(header=listed_header_matcher(name, value))
