"""What one Envoy has, read from its admin interface and shown with istioctl's columns."""
