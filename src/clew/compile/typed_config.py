"""Envoy's extension point: a message packed into an Any."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message


def typed_config(message: Message) -> Any:
    """``message`` packed so that equal messages give equal bytes, maps included."""
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed
