"""``python -m bayescale``: the command line."""

from bayescale.cli import main

main()
