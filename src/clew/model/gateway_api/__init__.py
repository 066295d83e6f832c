"""The kinds of the Kubernetes Gateway API, with the defaults that its CRDs give.

A field of these structs has the default of the CRD, so a reader never repeats it.

Source: gateway-api v1.6, both channels.
"""
