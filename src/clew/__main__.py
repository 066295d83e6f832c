"""``python -m clew``: the same as the ``clew`` command."""

from clew.cli.main import main

if __name__ == "__main__":
    main(prog_name="clew")
