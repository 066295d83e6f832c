"""The steps of the tour: what is applied, and which shares it must lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Traffic(Enum):
    """Which requests a step is measured by."""

    EVERYONE = "everyone"
    JASON = "user jason"
    TCP = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """``wanted`` are weights per version of what answers, for each kind of traffic it touches."""

    title: str
    manifest: str
    wanted: Mapping[Traffic, Mapping[str, int]]


def _weights(old: int, new: int) -> str:
    """A VirtualService as Istio's Bookinfo samples write it."""
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subset: v1
      weight: {old}
    - destination:
        host: reviews
        subset: v2
      weight: {new}
"""


_JASON = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - match:
    - headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: reviews
        subset: v2
  - route:
    - destination:
        host: reviews
        subset: v1
"""

_SERVICES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews-v1
      weight: 70
    - destination:
        host: reviews-v3
      weight: 30
"""

_TCP = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: tcp-echo
spec:
  hosts:
  - tcp-echo
  tcp:
  - match:
    - port: 9000
    route:
    - destination:
        host: tcp-echo-v1
        port:
          number: 9000
      weight: 80
    - destination:
        host: tcp-echo-v2
        port:
          number: 9000
      weight: 20
"""


def canary(old: int, new: int) -> Step:
    return Step(
        title=f"reviews: {old} % v1, {new} % v2",
        manifest=_weights(old, new),
        wanted={Traffic.EVERYONE: {"v1": old, "v2": new}},
    )


STEPS = (
    canary(100, 0),
    canary(95, 5),
    canary(80, 20),
    canary(50, 50),
    canary(0, 100),
    Step(
        title="by header: jason sees v2, everyone else v1",
        manifest=_JASON,
        wanted={Traffic.EVERYONE: {"v1": 100}, Traffic.JASON: {"v2": 100}},
    ),
    Step(
        title="between two Services: 70 % reviews-v1, 30 % reviews-v3",
        manifest=_SERVICES,
        wanted={Traffic.EVERYONE: {"v1": 70, "v3": 30}},
    ),
    Step(
        title="plain TCP: 80 % tcp-echo-v1, 20 % tcp-echo-v2",
        manifest=_TCP,
        wanted={Traffic.TCP: {"one": 80, "two": 20}},
    ),
)
