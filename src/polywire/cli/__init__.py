"""The `polywire` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the exit code is the process's."""
    from polywire.cli.commands import cli

    cli(prog_name="polywire")
