"""Which local program stands for which image of Istio's Bookinfo."""

from __future__ import annotations

import sys

_RUN = (sys.executable, "-m", "clew.demo.bookinfo")

# An image's tag does not matter; a pattern may use * as in a shell.
IMAGES: dict[str, tuple[str, ...]] = {
    "*/examples-bookinfo-productpage-v1": (*_RUN, "productpage"),
    "*/examples-bookinfo-details-v1": (*_RUN, "details"),
    "*/examples-bookinfo-ratings-v1": (*_RUN, "ratings"),
    "*/examples-bookinfo-reviews-v*": (*_RUN, "reviews"),
    "*/tcp-echo-server": (*_RUN, "tcp-echo"),
}
