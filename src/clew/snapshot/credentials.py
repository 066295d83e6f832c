"""Which Secrets and ConfigMaps a proxy gets, because a DestinationRule that it follows names them.

Source: istio's ``credentialName`` of ``ClientTLSSettings``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.destination_rule import ClientTLSSettings, DestinationRule
from clew.model.secret import Secret

# By the name that proxies know them by; None: it is wanted and not there.
Credentials = Mapping[str, Secret | ConfigMap | None]

IN_CONFIG_MAP = "configmap://"
ROOTS = "-cacert"


def credentials_for(
    rules: Iterable[DestinationRule],
    namespace: str,
    secrets: Mapping[str, Mapping[str, Resource]],
    config_maps: Mapping[str, Mapping[str, Resource]],
    *,
    router: bool,
) -> dict[str, Secret | ConfigMap | None]:
    """Return what proxies of a namespace need to follow these rules.

    Secrets are of the proxy's own namespace, for routers and for sidecars that a rule selects by
    their labels; roots in a ConfigMap, which are no secret, are for all.
    """
    found: dict[str, Secret | ConfigMap | None] = {}
    own = secrets.get(namespace, {})
    for name in dict.fromkeys(_names(rules, router=router)):
        if name.startswith(IN_CONFIG_MAP):
            place, _, key = name.removeprefix(IN_CONFIG_MAP).partition("/")
            config_map = config_maps.get(place, {}).get(key)
            found[name] = config_map if isinstance(config_map, ConfigMap) else None
            continue
        for each in (name, name + ROOTS):
            secret = own.get(each.removeprefix("kubernetes://"))
            found[each] = secret if isinstance(secret, Secret) else None
    return found


def _names(rules: Iterable[DestinationRule], *, router: bool) -> Iterator[str]:
    for rule in rules:
        for tls in tls_settings(rule):
            name = tls.credential_name
            trusted = router or rule.spec.workload_selector is not None
            if name and (trusted or name.startswith(IN_CONFIG_MAP)):
                yield name


def tls_settings(rule: DestinationRule) -> Iterator[ClientTLSSettings]:
    """Yield the settings of all levels of a rule."""
    spec = rule.spec
    for policy in (spec.traffic_policy, *(subset.traffic_policy for subset in spec.subsets)):
        if policy is not None:
            levels = (policy.tls, *(port.tls for port in policy.port_level_settings))
            yield from (tls for tls in levels if tls is not None)
