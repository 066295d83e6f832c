"""Manifests that several tests of a real gateway share."""

from __future__ import annotations

# For every host at ``port``, on loopback.
LISTENING = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: web}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
"""
# The server at ``backend``, on loopback, as a service.
SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: web}}
spec:
  hosts: [web.example.com]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {backend}}}}}]
---
"""
# Everything at ``port`` goes to the server at ``backend``.
GATEWAY = (
    LISTENING
    + SERVICE
    + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: ["*"]
  gateways: [web]
  http: [{{route: [{{destination: {{host: web.example.com, port: {{number: 80}}}}}}]}}]
"""
)
