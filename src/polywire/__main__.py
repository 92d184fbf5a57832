"""`python -m polywire`: the command line, where its script is not on the path."""

from polywire.cli import main

main()
