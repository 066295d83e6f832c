"""What was counted of traffic, as sparse vectors of whole numbers: what they hold, and sums.

A count's key says what is counted. Sums over edges and over time are sums of vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import floor

import msgspec

from clew.model.metrics import ABSENT

Counts = dict[int, int]

# Requests by how long they took: the number of the bin, as it is.
REQUESTS = 1 << 10
(
    REQUEST_BYTES,
    RESPONSE_BYTES,
    OPENED,
    CLOSED,
    SENT,
    RECEIVED,
    MUTUAL_TLS,
    PLAIN,
) = range(REQUESTS + 1, REQUESTS + 9)
# Requests by response code, and by response flag.
CODES, FLAGS = 1 << 11, 1 << 12

# Envoy's response flags; the position is what a count's key holds. New ones go to the end.
# Source: Envoy, "access log, command operators, RESPONSE_FLAGS".
RESPONSE_FLAGS = (
    *("UH", "UF", "UO", "NR", "URX", "NC", "DT", "DC", "LH", "UT", "LR", "UR", "UC", "DI", "FI"),
    *("RL", "UAEX", "RLSE", "IH", "SI", "DPE", "UPE", "UMSDR", "RFCF", "NFCF", "DO", "OM", "DF"),
    *("DR", "UDO"),
)
_POSITIONS = {flag: position for position, flag in enumerate(RESPONSE_FLAGS)}

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Counts)


def pack(counts: Counts) -> bytes:
    """A tenth of the size, to be kept."""
    return _encoder.encode(counts)


def unpack(packed: bytes) -> Counts:
    return _decoder.decode(packed)


def add(into: Counts, counts: Mapping[int, int]) -> None:
    before = into.get
    for key, count in counts.items():
        into[key] = before(key, 0) + count


def requests(by_code: Mapping[int, int], flags: str, encrypted: bool | None) -> Counts:
    """Count requests with one set of response flags (``UF,URX``; ``-``: none).

    ``encrypted``: whether they came over mTLS, None where nobody knows.
    """
    number = sum(by_code.values())
    if not number:
        return {}
    counts = {CODES + code: count for code, count in by_code.items() if count}
    counts[REQUESTS] = number
    counts |= security(number, encrypted)
    if flags != ABSENT:
        of_each = (_POSITIONS[flag] for flag in flags.split(",") if flag in _POSITIONS)
        counts |= {FLAGS + position: number for position in of_each}
    return counts


def security(number: int, encrypted: bool | None) -> Counts:
    return {} if encrypted is None else {MUTUAL_TLS if encrypted else PLAIN: number}


def durations(counts: Mapping[int, int]) -> dict[int, int]:
    """Requests by bin of their duration."""
    return {k: count for k, count in counts.items() if k < REQUESTS}


def codes(counts: Mapping[int, int]) -> dict[int, int]:
    """Requests by response code; 0: there was no response."""
    found = {k - CODES: count for k, count in counts.items() if CODES <= k < FLAGS}
    return dict(sorted(found.items()))


def flags(counts: Mapping[int, int]) -> dict[str, int]:
    """Requests by response flag, the most frequent first."""
    found = {RESPONSE_FLAGS[k - FLAGS]: count for k, count in counts.items() if k >= FLAGS}
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def server_errors(counts: Mapping[int, int]) -> int:
    """Responses 5xx, and requests without one."""
    return sum(count for code, count in codes(counts).items() if code >= 500 or code == 0)


def spread(counts: Counts, start: float, end: float, width: float) -> Iterator[tuple[int, Counts]]:
    """Yield counts of the time from ``start`` to ``end`` by steps of ``width``, as if even.

    Nothing is lost or added: each count goes to the steps in whole numbers.
    """
    first, last = floor(start / width), floor(end / width)
    if first == last:
        yield last, counts
        return
    rest = counts
    for step in range(first, last):
        share = ((step + 1) * width - start) / (end - start)
        start = (step + 1) * width
        part: Counts = {}
        later: Counts = {}
        for key, count in rest.items():
            if number := round(count * share):
                part[key] = number
            if count != number:
                later[key] = count - number
        rest = later
        yield step, part
    yield last, rest
