"""`python -m polywire.cli`: the same command, where the script is not on the path."""

from polywire.cli import main

if __name__ == "__main__":
    main()
