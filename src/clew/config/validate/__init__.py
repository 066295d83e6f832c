"""Istio's admission rules, one file per kind: a typed resource in, diagnostics out."""
