"""``python -m intent_bert.cli``: the command line without its script."""

import sys

from intent_bert.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
