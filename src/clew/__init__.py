"""clew: a service mesh you ``pip install``.

Istio's API, a Python control plane, real Envoy as the data plane. ARCHITECTURE.md follows one
change from YAML to Envoy and says where to look for what.
"""

from importlib.metadata import version

__version__ = version("clew")
