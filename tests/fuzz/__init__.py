"""Bytes from outside: whatever they are, each parser answers or refuses, soon, in little memory.

`targets.py` lists the parsers. `test_targets.py` feeds them for a moment; `python -m tests.fuzz`,
as long as you like, each with libFuzzer (atheris) in a process of its own: `make fuzz`.
"""
