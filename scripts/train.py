#!/usr/bin/env python
"""Fine-tune on a table and leave a model folder: the same as ``intent-bert train``.

python scripts/train.py --data snips --output-dir runs/snips
python scripts/train.py --help
"""

import sys

from intent_bert.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
