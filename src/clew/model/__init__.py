"""What things are: frozen types and names, and no behaviour beyond their own invariants.

One file per Istio or Kubernetes kind, with the stem that the kind has in every other layer.
Nothing here does I/O, and nothing is imported from the layers above.
"""
