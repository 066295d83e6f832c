"""This machine as a place to run: manifests become processes, networks and sidecars."""
