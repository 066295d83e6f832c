"""gRPC for many long streams: an HTTP/2 server without a copy, a task or a lock per message.

Why not grpcio: docs/decisions/004-direct-transport.md.
"""
