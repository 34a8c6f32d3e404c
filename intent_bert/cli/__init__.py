"""The command line, ``intent-bert``."""

from intent_bert.cli.command_line import main

__all__ = ["main"]
