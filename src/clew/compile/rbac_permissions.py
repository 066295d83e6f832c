"""What is done: a rule's ``to``, and those of its conditions that are about the destination."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from clew._pb.envoy.config.rbac.v3.rbac_pb2 import Permission
from clew._pb.envoy.extensions.path.match.uri_template.v3.uri_template_match_pb2 import (
    UriTemplateMatchConfig,
)
from clew.compile.rbac_values import (
    address_range,
    header_matcher,
    list_value,
    metadata_matcher,
    text_matcher,
    text_value,
)
from clew.compile.typed_config import typed_config
from clew.model.authorization_policy import Condition, Operation, Rule

OF_FILTERS = "experimental.envoy.filters."
# The operators of path templates, and Envoy's.
_TEMPLATE = (("{**}", "**"), ("{*}", "*"))

_Make = Callable[[str], Permission]


def compile_permissions(rule: Rule) -> list[Permission]:
    """What a request must do for the rule to match; one alternative for each ``to``.

    Source: istio ``authz/model.New``.
    """
    conditions = [p for condition in rule.when for p in _condition(condition)]
    operations = [to.operation or Operation() for to in rule.to] or [Operation()]
    return [_all([*_operation(operation), *conditions]) for operation in operations]


def _operation(operation: Operation) -> Iterator[Permission]:
    yield from _either(operation.hosts, operation.not_hosts, _host)
    yield from _either(operation.methods, operation.not_methods, _method)
    yield from _either(operation.paths, operation.not_paths, _path)
    yield from _either(operation.ports, operation.not_ports, _port)


def _condition(condition: Condition) -> Iterator[Permission]:
    key = condition.key
    make: _Make | None = _CONDITIONS.get(key)
    if key.startswith(OF_FILTERS):
        make = _of_filter(key)
    if make is not None:
        yield from _either(condition.values, condition.not_values, make)


def _either(values: Sequence[str], not_values: Sequence[str], make: _Make) -> Iterator[Permission]:
    """Any of ``values``, if there are some, and none of ``not_values``."""
    if values:
        yield _any(map(make, values))
    if not_values:
        yield Permission(not_rule=_any(map(make, not_values)))


def _any(permissions: Iterable[Permission]) -> Permission:
    return Permission(or_rules=Permission.Set(rules=permissions))


def _all(permissions: Sequence[Permission]) -> Permission:
    return Permission(and_rules=Permission.Set(rules=permissions or [Permission(any=True)]))


def _host(value: str) -> Permission:
    return Permission(header=header_matcher(":authority", value, ignore_case=True))


def _method(value: str) -> Permission:
    return Permission(header=header_matcher(":method", value))


def _path(value: str) -> Permission:
    template = value
    for written, operator in _TEMPLATE:
        template = template.replace(written, operator)
    found = Permission()
    if template == value:
        found.url_path.path.CopyFrom(text_matcher(value))
        return found
    found.uri_template.name = "uri-template"
    config = UriTemplateMatchConfig(path_template=template)
    found.uri_template.typed_config.CopyFrom(typed_config(config))
    return found


def _port(value: str) -> Permission:
    return Permission(destination_port=int(value))


def _address(value: str) -> Permission:
    return Permission(destination_ip=address_range(value))


def _server_name(value: str) -> Permission:
    return Permission(requested_server_name=text_matcher(value))


def _of_filter(key: str) -> _Make:
    """Match what a filter noted: ``experimental.envoy.filters.http.example[key]``.

    A value in brackets is one of a list.
    """
    name, _, path = key.removeprefix("experimental.").removesuffix("]").partition("[")

    def noted(value: str) -> Permission:
        listed = value.startswith("[") and value.endswith("]")
        wanted = list_value(value.strip("[]")) if listed else text_value(value)
        return Permission(metadata=metadata_matcher(name, (path,), wanted))

    return noted


_CONDITIONS: dict[str, _Make] = {
    "destination.ip": _address,
    "destination.port": _port,
    "connection.sni": _server_name,
}
