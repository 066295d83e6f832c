"""The xDS protocol as state machines without I/O: delta and state of the world.

The owner reports what happened (``receive``, ``publish``) and sends what ``poll`` returns.
No sockets, tasks, clocks or logs here; ``clew.server.ads`` is the shell around it.
"""
