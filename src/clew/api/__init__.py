"""The admin API as both sides see it: message types and the client. The server is in ``server``."""
