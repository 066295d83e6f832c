"""Many resources in, one immutable view and its queries out.

``build_snapshot`` makes the view, ``update_snapshot`` a new one that shares what did not change.
Precedence (oldest first), visibility (exportTo, Sidecar), the merging of rules and the choice
of policies live here as pure queries; the compiler never looks at raw configuration.
"""
