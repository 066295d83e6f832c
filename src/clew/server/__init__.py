"""The control-plane process: asyncio, gRPC, HTTP and settings around the pure core."""
