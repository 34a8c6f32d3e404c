"""What the methods of a comparison learn from and are tested on: one pair of tables, or a pair for each fold."""

import hashlib
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from intent_bert.config import INTENT, TEXT, CompareConfig
from intent_bert.data.labels import classes_of
from intent_bert.data.splits import split_off
from intent_bert.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("intent_bert")

ALL = "all"  # a size: every training sentence


@dataclass
class Folds:
    """Pairs of training and test tables, columns text and intent; all test sentences follow one another."""

    pairs: "list[tuple[pd.DataFrame, pd.DataFrame]]"

    @classmethod
    def of(cls, tables: "dict[str, pd.DataFrame]", config: CompareConfig) -> Self:
        """The test table, or a share of train held out, or with ``folds`` each row of train once.

        Raises:
            SettingsError: more folds than the commonest intent has sentences, or than there are distinct texts.
            DataError: nothing can be held out, or a fold has a single intent to learn.
        """
        train = tables["train"]
        if config.folds:
            return cls(_cross_validation(train, config.folds, config.seed))
        if "test" in tables:
            return cls([(train, tables["test"])])
        train, test = split_off(train, config.test_split, config.seed)
        if test.empty:
            raise DataError("there are too few sentences to hold out a test table: give one with --test-file")
        return cls([(train, test)])

    @property
    def texts(self) -> list[str]:
        """The test sentences."""
        return [text for _, test in self.pairs for text in test[TEXT]]

    @property
    def labels(self) -> np.ndarray:
        """Their labels as text, object (rows,)."""
        return np.array([str(label) for _, test in self.pairs for label in test[INTENT]], object)

    @property
    def numbers(self) -> np.ndarray:
        """The fold of each, from 1, int (rows,)."""
        return np.repeat(np.arange(1, len(self.pairs) + 1), [len(test) for _, test in self.pairs])

    @property
    def intents(self) -> list[str]:
        """The intents of the first training table."""
        return sorted({str(label) for label in classes_of(self.pairs[0][0][INTENT])})

    def described(self) -> str:
        rows = len(self.pairs[0][0])
        if len(self.pairs) == 1:
            return f"{rows} training sentences of {len(self.intents)} intents"
        return f"{len(self.pairs)} folds of about {rows} training sentences of {len(self.intents)} intents"

    def sampled(self, size: str, seed: int) -> "list[tuple[pd.DataFrame, pd.DataFrame]]":
        """The pairs with at most ``size`` training sentences of each intent; smaller samples are part of larger."""
        if size == ALL:
            return self.pairs
        sampled = []
        for train, test in self.pairs:
            shuffled = train.iloc[np.random.default_rng(seed).permutation(len(train))]
            sampled.append((shuffled.groupby(shuffled[INTENT].astype(str)).head(int(size)).sort_index(), test))
        return sampled

    def fingerprint(self) -> str:
        rows = [[list(table[TEXT]), [str(label) for label in table[INTENT]]] for pair in self.pairs for table in pair]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _cross_validation(train: "pd.DataFrame", folds: int, seed: int) -> "list[tuple[pd.DataFrame, pd.DataFrame]]":
    from sklearn.model_selection import StratifiedGroupKFold

    labels = train[INTENT].astype(str)
    texts = train.groupby(TEXT).ngroup()  # a text that stands there twice stays on one side
    commonest, distinct = int(labels.value_counts().max()), int(texts.nunique())
    if folds > min(commonest, distinct):
        what = f"the sentences of the commonest intent ({labels.mode()[0]})" if commonest <= distinct else "the texts"
        raise SettingsError(f"folds must be at most {min(commonest, distinct)}, {what}, not {folds}")
    rare = labels[~train[TEXT].duplicated()].value_counts()
    rare = rare[rare < folds]
    if len(rare):
        named = ", ".join(f"{intent} ({count})" for intent, count in rare[::-1][:5].items())
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        logger.warning("intents with fewer sentences than folds, which not every fold tests: %s%s", named, more)
    divide: Callable = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's words for what was logged above
        pairs = [(train.iloc[a], train.iloc[b]) for a, b in divide(train, labels, texts) if len(b)]
    if any(pair[0][INTENT].nunique() < 2 for pair in pairs):
        raise DataError(f"with {folds} folds one of them has a single intent to learn: take fewer")
    return pairs
