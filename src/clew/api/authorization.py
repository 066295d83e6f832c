"""What the admin API answers about who may do what."""

from __future__ import annotations

from typing import Literal

from clew.api.messages import Message

# "mixed": not the same for all workloads; "some": it depends on the request.
OutcomeName = Literal["allowed", "denied", "asked", "mixed"]
CellName = Literal["yes", "no", "some", "asked"]


class WorkloadVerdict(Message, frozen=True, kw_only=True):
    """What one workload says of the request. ``rule``: the one that decides, "" if none does.

    ``dry_runs``: what policies would say that are only tried.
    """

    workload: str
    outcome: OutcomeName
    rule: str = ""
    reason: str = ""
    dry_runs: tuple[str, ...] = ()


class Permission(Message, frozen=True, kw_only=True):
    """Whether ``caller`` (``namespace/account``, "" without a proxy) may make a request.

    ``outcome``: of all workloads of the service together.
    """

    caller: str
    host: str
    port: int
    protocol: str
    outcome: OutcomeName
    workloads: tuple[WorkloadVerdict, ...] = ()


class MatrixRow(Message, frozen=True, kw_only=True):
    """May one caller reach each of the matrix's targets?"""

    caller: str
    cells: tuple[CellName, ...]


class Matrix(Message, frozen=True, kw_only=True):
    """``targets``: ``host:port``, in the order of each row's cells."""

    targets: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
