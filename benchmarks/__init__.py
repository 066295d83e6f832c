"""Every figure in the documentation, as a command: ``python -m benchmarks [NAME …]``.

Peers run beside clew in the same run, so that ratios mean something on any machine.
"""
