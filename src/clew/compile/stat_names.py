"""What clusters are called in statistics, by the mesh's own patterns."""

from __future__ import annotations

from clew.model.service import Service, ServicePort


def stat_name(pattern: str, service: Service, port: ServicePort, target: int, subset: str) -> str:
    """``pattern`` with its words in percent signs filled in; ``target``: the workload's port.

    Source: istio ``BuildStatPrefix``.
    """
    short = f"{service.name}.{service.namespace}" if service.kubernetes else service.hostname
    words = {
        "%SERVICE_FQDN%": service.hostname,
        "%SERVICE_NAME%": service.name,
        "%SERVICE_PORT_NAME%": port.name,
        "%SERVICE_PORT%": str(port.number),
        "%SERVICE%": short,
        "%SUBSET_NAME%": subset,
        "%TARGET_PORT%": str(target),
    }
    for word, value in words.items():
        pattern = pattern.replace(word, value)
    return pattern
