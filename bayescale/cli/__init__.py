"""The command line: thin commands, named like the functions of the library."""

from bayescale.cli.main import main

__all__ = ["main"]
