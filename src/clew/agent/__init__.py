"""Beside each workload: one Envoy, its certificates, traffic capture, DNS, and the application."""
