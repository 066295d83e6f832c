"""The Kubernetes Gateway API as Istio's own kinds, and the status of each of its objects.

Source: istio ``pilot/pkg/config/kube/gateway`` and Gateway API v1.6.
"""
