"""ProxyScope in, Envoy resources out.

Pure functions, one file per Envoy concern; ``proxy.py`` lists what is compiled and in which
order. A function takes the values it reads and returns new protobuf messages; it never looks
anything up and never changes a message it was given. May import ``clew.snapshot`` and below and
protobuf. To see what a change does: ``make golden``, then read the diff.
"""
