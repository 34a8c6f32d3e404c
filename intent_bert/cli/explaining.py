"""``predict --explain`` and what ``report`` shares with it: the sentences to compare with, and an explanation in lines.

PlayMusic 0.9930    Play our song now
  without: Play -0.4509  now -0.0011  song -0.0010  our +0.0005
  near: 0.90 PlayMusic  play the latest dream album
"""

import argparse
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from intent_bert.config import INTENT
from intent_bert.errors import SettingsError

if TYPE_CHECKING:
    from intent_bert.inference.explanation import Explanation
    from intent_bert.inference.known_sentences import KnownSentences
    from intent_bert.inference.predictor import IntentPredictor

logger = logging.getLogger("intent_bert")

WORDS_IN_A_LINE = 12


def add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--explain", action="store_true", help="the words of each sentence, those that carry its intent most first"
    )
    add_train_file(command, "with --explain, ")
    command.add_argument(
        "--label-column", default=INTENT, metavar="COLUMN", help="the column of --train-file with the intents"
    )


def add_train_file(command: argparse.ArgumentParser, when: str = "") -> None:
    command.add_argument(
        "--train-file",
        metavar="FILE",
        help=f"{when}show the nearest sentences of this table, such as the one the model was trained on",
    )


def check_explain(options: argparse.Namespace) -> None:
    """Raise SettingsError where options of ``predict`` do not go together."""
    if options.train_file and not options.explain:
        raise SettingsError("--train-file is for --explain: give that too")
    if options.explain and options.output:
        raise SettingsError("--explain is for stdout: leave --output out, and add --json for one object a line")


def known_sentences(predictor: "IntentPredictor", options: argparse.Namespace) -> "KnownSentences | None":
    """The sentences of ``--train-file`` with their vectors; None without, which is told.

    Raises:
        DataError: the table can't be used.
        SettingsError: the model gives no vectors.
    """
    if not options.train_file:
        logger.info(
            "the model folder keeps no sentence of its training: --train-file FILE shows those that are nearest"
        )
        return None
    from intent_bert.data.tables import read_table
    from intent_bert.workbench.training_sentences import known_sentences_of

    separator = predictor.label_separator if predictor.multi_label else None
    table = read_table(options.train_file, options.text_column, options.label_column, separator)
    return known_sentences_of(predictor, table)


def explanation_lines(explanation: "Explanation", several: bool) -> Iterator[str]:
    """An explanation for the terminal: a line of words for each intent, and one for each near sentence."""
    for each in explanation.intents:
        words = [f"{word.word} {-word.drop:+.4f}" for word in each.words[:WORDS_IN_A_LINE]]
        more = len(each.words) - len(words)
        intent = f"{each.intent} " if several else ""
        yield f"  {intent}without: {'  '.join(words)}{f'  and {more} more' if more else ''}"
    for near in explanation.nearest or ():
        yield f"  near: {near.similarity:.2f} {near.label}  {near.text}"
