"""Counts which version of a line-echoing TCP service answers: one new connection per line."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import Counter


def address(host: str, port: int) -> tuple[str, int]:
    """Where to connect: where traffic is not captured, $UPSTREAM_HOST_PORT says it."""
    local = os.environ.get(f"UPSTREAM_{host.upper().replace('-', '_')}_{port}")
    if local is None:
        return host, port
    name, _, number = local.rpartition(":")
    return name, int(number)


def first_word(target: tuple[str, int]) -> str:
    with socket.create_connection(target, timeout=5) as connection:
        connection.sendall(b"hello\n")
        line = connection.makefile("rb").readline()
    return line.split()[0].decode() if line else "(closed without an answer)"


def count_answers(host: str, port: int, connections: int) -> Counter[str]:
    target = address(host, port)
    answers: Counter[str] = Counter()
    for _ in range(connections):
        try:
            answers[first_word(target)] += 1
        except OSError as error:
            answers[f"({error})"] += 1
    return answers


if __name__ == "__main__":
    name, number, times = sys.argv[1:]
    print(json.dumps(count_answers(name, int(number), int(times))))
