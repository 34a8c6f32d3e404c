#!/usr/bin/env python
"""The intents of sentences: the same as ``intent-bert predict``.

python scripts/predict.py runs/snips "Play our song now" "Rate this book as awful"
python scripts/predict.py --help
"""

import sys

from intent_bert.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
