"""The command line, one file per command: parse arguments, call the layer below, print, exit."""
