"""The directory that is private to a workload, and Envoy's working directory."""

from __future__ import annotations

ADMIN_SOCKET = "admin.sock"
CONTROL_PLANE_SOCKET = "control-plane.sock"
METRICS_SOCKET = "metrics.sock"
SDS_DIRECTORY = "sds"
