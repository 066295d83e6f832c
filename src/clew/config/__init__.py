"""Text in, typed resources or diagnostics out.

``parse.py`` reads YAML as Kubernetes does, keeps positions, and reports every structural error of
a document at once; ``validate/`` holds Istio's admission rules, one file per kind.
"""
