"""Routes of VirtualServices in words: what must match, and what is done besides forwarding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clew.model.virtual_service import (
    FaultAbort,
    FaultDelay,
    Headers,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRoute,
    L4MatchAttributes,
    Percent,
    StringMatch,
    TLSMatchAttributes,
)


def http_match(match: HTTPMatchRequest) -> str:
    """``path starts with /api, header end-user is jason``; "" matches everything."""
    words = [
        *_text("path", match.uri),
        *_text("method", match.method),
        *_text("scheme", match.scheme),
        *_text("host", match.authority),
        *_texts("header", match.headers),
        *(f"not ({text})" for text in _texts("header", match.without_headers)),
        *_texts("query parameter", match.query_params),
        *_where(match.port, match.source_labels, match.source_namespace),
    ]
    return ", ".join(words)


def l4_match(match: L4MatchAttributes | TLSMatchAttributes) -> str:
    """``server name *.example.com, port 443``; "" matches everything."""
    words = list(_where(match.port, match.source_labels, match.source_namespace))
    if isinstance(match, TLSMatchAttributes):
        words.insert(0, f"server name {' or '.join(match.sni_hosts)}")
    elif match.source_subnet:
        words.append(f"from {match.source_subnet}")
    if match.destination_subnets:
        words.append(f"to {' or '.join(match.destination_subnets)}")
    return ", ".join(words)


def actions(route: HTTPRoute) -> tuple[str, ...]:
    """What happens to a request of the route besides that it is forwarded."""
    return tuple(_actions(route))


def _actions(route: HTTPRoute) -> Iterator[str]:
    if route.redirect is not None:
        yield f"redirect: {_redirect(route.redirect)}"
    if route.direct_response is not None:
        yield f"answer {route.direct_response.status} at once"
    if route.fault is not None:
        if route.fault.delay is not None:
            yield f"fault: {_delay(route.fault.delay)}"
        if route.fault.abort is not None:
            yield f"fault: {_abort(route.fault.abort)}"
    if route.timeout is not None:
        yield f"timeout {route.timeout}" if route.timeout.nanoseconds else "no timeout"
    if route.retries is not None:
        yield _retries(route)
    if route.rewrite is not None:
        regex = route.rewrite.uri_regex_rewrite
        path = route.rewrite.uri or (f"{regex.match} → {regex.rewrite}" if regex else "")
        if path:
            yield f"rewrite the path: {path}"
        if route.rewrite.authority:
            yield f"rewrite the host: {route.rewrite.authority}"
    mirrors = [(route.mirror, route.mirror_percentage)] if route.mirror else []
    mirrors += [(each.destination, each.percentage) for each in route.mirrors]
    for to, share in mirrors:
        yield f"mirror {_percent(share)} to {to.host} {to.subset}".rstrip()
    if route.cors_policy is not None:
        yield "CORS policy"
    yield from _headers(route.headers)


def _retries(route: HTTPRoute) -> str:
    retries = route.retries
    assert retries is not None
    if retries.attempts == 0:
        return "no retries"
    each = f" of {retries.per_try_timeout} each" if retries.per_try_timeout is not None else ""
    on = f" on {retries.retry_on}" if retries.retry_on else ""
    return f"up to {2 if retries.attempts is None else retries.attempts} retries{each}{on}"


def _delay(delay: FaultDelay) -> str:
    share = _percent(delay.percentage, delay.percent)
    return f"delay {share} by {delay.fixed_delay or delay.exponential_delay}"


def _abort(abort: FaultAbort) -> str:
    grpc = f"gRPC status {abort.grpc_status}" if abort.grpc_status else ""
    answer = abort.http_status or grpc or abort.http2_error
    return f"abort {_percent(abort.percentage)} with {answer}"


def _redirect(redirect: HTTPRedirect) -> str:
    parts = [
        f"{redirect.scheme}://" if redirect.scheme else "",
        redirect.authority,
        f":{redirect.port}" if redirect.port else "",
        redirect.uri or redirect.prefix_rewrite,
    ]
    return f"{redirect.redirect_code or 301} to {''.join(parts) or 'the same address'}"


def _headers(headers: Headers | None) -> Iterator[str]:
    sides = (("request", headers.request), ("response", headers.response)) if headers else ()
    for side, operations in sides:
        for name, value in operations.set.items() if operations else ():
            yield f"{side} header {name} = {value}"
        for name, value in operations.add.items() if operations else ():
            yield f"{side} header {name} += {value}"
        for name in operations.remove if operations else ():
            yield f"{side} header {name} is removed"


def _percent(share: Percent | None, whole: int | None = None) -> str:
    value = share.value if share is not None else whole
    return f"{100 if value is None else value:g} %"


def _where(port: int | None, labels: Mapping[str, str], namespace: str) -> Iterator[str]:
    if port:
        yield f"port {port}"
    if labels:
        yield f"from workloads with {', '.join(f'{k}={v}' for k, v in labels.items())}"
    if namespace:
        yield f"from namespace {namespace}"


def _text(what: str, match: StringMatch | None) -> Iterator[str]:
    if match is None:
        return
    if match.exact is not None:
        yield f"{what} is {match.exact}"
    elif match.prefix is not None:
        yield f"{what} starts with {match.prefix}"
    elif match.regex is not None:
        yield f"{what} matches {match.regex}"
    else:
        yield f"{what} is present"


def _texts(what: str, matches: Mapping[str, StringMatch]) -> Iterator[str]:
    for name, match in matches.items():
        yield from _text(f"{what} {name}", match)
