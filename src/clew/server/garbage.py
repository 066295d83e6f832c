"""Garbage collection where nearly all objects are there to stay."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Look for garbage less often than Python does by itself."""
    gc.set_threshold(50_000, 20, 20)


def spare_the_collector() -> None:
    """Take what has been loaded out of garbage collection.

    It lives as long as the process, and walking it costs a tenth of a second in a big mesh.
    """
    gc.collect()
    gc.freeze()
