"""Checked tables, splits of them, and the tutorial's preprocessor.

    check_tables          what only shows across rows and tables, told before anything slow starts
    split_off             a stratified share of a table
    split_table           one table as train, validation and test
    IntentDetectionData   tables -> padded ids and label numbers

Nothing here knows of models.
"""

import logging
from collections.abc import Sequence
from math import isclose
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.config import DEFAULT_MAX_SEQ_LEN, INTENT, TEXT, check_seed
from intent_bert.data.batches import Label, classes_of, encode, label_ids, pad
from intent_bert.data.tables import Source, read_table
from intent_bert.errors import DataError, SettingsError

logger = logging.getLogger("intent_bert")

PART_NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}  # of what split_table gives


# --- checking ----------------------------------------------------------------------------------------------------


def check_tables(
    train: pd.DataFrame,
    validation: pd.DataFrame | None = None,
    test: pd.DataFrame | None = None,
    strict: bool = False,
) -> list[str]:
    """Check what only shows across rows and tables; log each warning once.

    Returns:
        The warnings: one text under two intents, texts of the other tables that also stand in train, labels that
        train never had.

    Raises:
        DataError: train has one intent only, or ``strict`` and there is a warning.
    """
    classes = classes_of(train[INTENT])
    if len(classes) < 2:
        raise DataError(f"{train.attrs.get('source')} has one intent only, {classes[0]!r}: expected at least two")
    warnings = _contradictions(train)
    for name, table in (("validation", validation), ("test", test)):
        if table is not None:
            warnings += _overlap(name, table, train) + _unknown_labels(name, table, classes)
    if strict and warnings:
        raise DataError(f"{warnings[0]} (an error because of --strict)")
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _contradictions(train: pd.DataFrame) -> list[str]:
    distinct = train.groupby(TEXT, sort=False)[INTENT].nunique()
    texts = distinct[distinct > 1].index
    if texts.empty:
        return []
    rows = train[train[TEXT] == texts[0]]
    where = ", ".join(f"row {row}: {label}" for row, label in rows[INTENT].items())
    many = "1 text stands" if len(texts) == 1 else f"{len(texts)} texts stand"
    return [f"{train.attrs.get('source')}: {many} under more than one intent, such as {texts[0]!r} ({where})"]


def _overlap(name: str, table: pd.DataFrame, train: pd.DataFrame) -> list[str]:
    also = table[TEXT].isin(set(train[TEXT]))
    if not also.any():
        return []
    row, text = next(iter(table[TEXT][also].items()))
    return [
        f"{table.attrs.get('source')}: {int(also.sum())} of {len(table)} {name} texts also stand in train, such as "
        f"row {row}: {text!r}"
    ]


def _unknown_labels(name: str, table: pd.DataFrame, classes: list[Label]) -> list[str]:
    unknown = table[INTENT][label_ids(table[INTENT], classes) < 0]
    if unknown.empty:
        return []
    counts = ", ".join(f"{label} ({count})" for label, count in unknown.value_counts().items())
    return [f"{table.attrs.get('source')}: {name} has labels that train never had, counted as mistakes: {counts}"]


# --- splitting ---------------------------------------------------------------------------------------------------


def split_off(table: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a table in two, the second with about ``share`` of every intent's rows (stratified, seeded).

    An intent gives at least one row when it has two; an intent with a single row keeps it in the first table. All
    rows of one text go to the same side; a text under two intents stays in the first.

    Raises:
        SettingsError: ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise SettingsError(f"the validation share must be between 0 and 1, not {share}")
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    numbers, counts = label_ids(table[INTENT], classes_of(table[INTENT])), table.groupby(TEXT)[INTENT].nunique()
    for number in range(numbers.max() + 1):
        texts = table[TEXT][numbers == number].unique()
        size = min(max(1, round(share * len(texts))), len(texts) - 1)
        free = [text for text in rng.permutation(texts.astype(object)) if counts[text] == 1]
        chosen.update(free[:size])
    second = table[TEXT].isin(chosen)
    return table[~second], table[second]


def split_table(table: Source, shares: Sequence[float] = (0.7, 0.15, 0.15), seed: int = 0) -> tuple[pd.DataFrame, ...]:
    """Split one table into train, validation and test, or with two shares into train and test (stratified, seeded).

    The shares are of every intent's distinct texts, rounded. As in ``split_off``, all rows of one text go to the same
    side and a text under two intents goes to train; an intent with a single text has it in train, one with two in
    train and test. The same seed and share of test give the same test rows, whatever goes to validation.

    Args:
        table: what ``read_table`` takes, with the columns text and intent.
        shares: positive numbers that add up to 1 or to 100.
        seed: 0 to 2**32 - 1.

    Returns:
        Two or three tables, the rows of each in the order of ``table`` and with its index.

    Raises:
        SettingsError: shares that are not two or three positive numbers or don't add up, or such a seed.
        DataError: a table that can't be used, or that is so small that one of the parts would be empty.

    Examples:
        >>> train, test = split_table((["a", "b", "c", "d"] * 2, ["x", "x", "y", "y"] * 2), (50, 50))
        >>> len(train), len(test)
        (4, 4)
    """
    fractions = _fractions(shares)
    check_seed(seed)
    table = read_table(table)
    train, test = split_off(table, fractions[-1], seed)
    parts: tuple[pd.DataFrame, ...] = (train, test)
    if len(fractions) == 3:
        parts = (*split_off(train, fractions[1] / (fractions[0] + fractions[1]), seed), test)
    empty = [name for name, part in zip(PART_NAMES[len(parts)], parts, strict=True) if part.empty]
    if empty:
        raise DataError(
            f"{table.attrs['source']} is too small to split so: {' and '.join(empty)} would be empty; "
            "add sentences, or give other shares"
        )
    return parts


def _fractions(shares: Sequence[float]) -> list[float]:
    """The shares as fractions of 1."""
    numbers = [float(share) for share in shares if isinstance(share, Real) and share > 0]
    total = sum(numbers)
    if len(shares) not in (2, 3) or len(numbers) < len(shares) or not (isclose(total, 1) or isclose(total, 100)):
        given = ", ".join(map(str, shares))
        raise SettingsError(
            "expected three shares (train, validation, test) or two (train, test) above 0 that add up to 1 or to 100, "
            f"such as 70, 15, 15, not {given}"
        )
    return [number / total for number in numbers]


# --- the tutorial's preprocessor ---------------------------------------------------------------------------------


class IntentDetectionData:
    """Tables of sentences as padded ids and label numbers, ready for ``model.fit``.

    Args:
        train: a DataFrame, a path, or (texts, labels); see ``read_table``.
        test: the same, or None.
        tokenizer: a ``FullTokenizer``.
        classes: the intents in the order of the model's outputs; by default train's, sorted.
        max_seq_len: sentences longer than this many tokens ([CLS] and [SEP] included) are cut.
        valid: a third table, or None.
        text_column: the name of the column with the sentences.
        label_column: the name of the column with the intents.
        seed: shuffles the training rows, so that ``fit(validation_split=0.1)`` holds out rows of every intent.
            None leaves them as they are.

    Attributes:
        train, test, valid: the checked tables, columns ``text`` and ``intent``; ``train`` in the order of ``train_x``.
        train_x, test_x, valid_x: ids, int32 (sentences, max_seq_len), 0 where a sentence has ended.
        train_y, test_y, valid_y: label numbers, int32 (sentences,); -1 for a label that is not in ``classes``.
        max_seq_len: the length of the longest sentence, ``max_seq_len`` at most.
        classes, tokenizer: as given.

    Raises:
        DataError: a table that can't be used (which file, row and column), or one intent only.

    Examples:
        >>> train = (["play a song", "is it cold"], ["music", "weather"])
        >>> data = IntentDetectionData(train, None, tokenizer, seed=None)
        >>> data.train_x
        array([[ 101, 2377, 1037, 2299,  102],
               [ 101, 2003, 2009, 3147,  102]], dtype=int32)
        >>> data.train_y
        array([0, 1], dtype=int32)
    """

    def __init__(
        self,
        train: Source,
        test: Source | None,
        tokenizer: FullTokenizer,
        classes: Sequence[Label] | None = None,
        max_seq_len: int = DEFAULT_MAX_SEQ_LEN,
        *,
        valid: Source | None = None,
        text_column: str = TEXT,
        label_column: str = INTENT,
        seed: int | None = 0,
    ) -> None:
        def read(source: Source | None) -> pd.DataFrame | None:
            return None if source is None else read_table(source, text_column, label_column)

        table, self.test, self.valid = read_table(train, text_column, label_column), read(test), read(valid)
        self.train = table if seed is None else table.iloc[np.random.default_rng(seed).permutation(len(table))]
        self.tokenizer = tokenizer
        self.classes = classes_of(self.train[INTENT]) if classes is None else list(classes)
        check_tables(self.train, self.valid, self.test)
        unknown = self.train[INTENT][label_ids(self.train[INTENT], self.classes) < 0]
        if len(unknown):
            raise DataError(f"the training label {unknown.iloc[0]!r} is not among the classes {self.classes}")

        tables = [self.train, self.test, self.valid]
        texts = [text for part in tables if part is not None for text in part[TEXT]]
        ids = iter(encode(texts, tokenizer, max_seq_len))
        encoded = [None if part is None else [next(ids) for _ in range(len(part))] for part in tables]
        self.max_seq_len = max(len(sentence) for part in encoded if part is not None for sentence in part)
        self.train_x, self.train_y = self._arrays(self.train, encoded[0])
        self.test_x, self.test_y = self._arrays(self.test, encoded[1])
        self.valid_x, self.valid_y = self._arrays(self.valid, encoded[2])

    def _arrays(self, table: pd.DataFrame | None, ids: list[np.ndarray] | None) -> tuple[Any, Any]:
        if table is None or ids is None:
            return None, None
        return pad(ids, self.max_seq_len), label_ids(table[INTENT], self.classes)
