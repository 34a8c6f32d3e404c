"""Intents' names as sentences: "card_arrival" and "CardArrival" say what their sentences are about.

With a handful of sentences an intent, its name is worth about one more. Nothing here judges whether a name says much.
"""

import re

import pandas as pd

from intent_bert.config import INTENT, TEXT

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[^\W\d_]+|\d+")


def words_of_label(label: object) -> str:
    """The words that a label is made of, in lower case.

    >>> [words_of_label(label) for label in ("card_arrival", "AddToPlaylist", "top-up by HTTPRequest 2", "7")]
    ['card arrival', 'add to playlist', 'top up by http request 2', '7']
    """
    return " ".join(_WORDS.findall(str(label))).lower()


def with_label_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table (text, intent) and a row for each intent with its name as text.

    A name without a letter, one that two intents share, and one that stands in the table already, are left out.
    """
    labels = list(dict.fromkeys(table[INTENT]))
    names = pd.Series([words_of_label(label) for label in labels], dtype=table[TEXT].dtype)
    there = set(table[TEXT].str.lower())
    usable = names.str.contains(r"[^\W\d_]") & ~names.duplicated(keep=False) & ~names.isin(there)
    rows = pd.DataFrame({TEXT: names, INTENT: pd.Series(labels, dtype=table[INTENT].dtype)})[usable]
    return pd.concat([table, rows], ignore_index=True)
