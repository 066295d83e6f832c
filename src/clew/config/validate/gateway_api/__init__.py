"""The rules of the Gateway API's CRDs: their schemas and their CEL expressions.

Where the standard and the experimental channel differ, the experimental rule holds, for it knows
the fields of both.
"""
