"""The tutorial's preprocessor: tables -> padded ids and label numbers. Nothing here knows of models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.config import DEFAULT_MAX_SEQ_LEN, INTENT, TEXT
from intent_bert.data.batches import encode, pad
from intent_bert.data.cells import shown
from intent_bert.data.checks import NAMED, check_tables
from intent_bert.data.label_sets import all_labels, holds_label_sets, label_matrix
from intent_bert.data.labels import Label, classes_of, label_ids, plain_label
from intent_bert.data.tables import Source, read_table
from intent_bert.errors import DataError


class IntentDetectionData:
    """Tables of sentences as padded ids and label numbers, ready for ``model.fit``.

    Args:
        train: a DataFrame, a path, or (texts, labels); see ``read_table``.
        test: the same, or None.
        tokenizer: a ``FullTokenizer``.
        classes: the intents in the order of the model's outputs; by default train's, sorted.
        max_seq_len: sentences longer than this many tokens ([CLS] and [SEP] included) are cut.
        validation: a third table, or None.
        text_column: the name of the column with the sentences.
        label_column: the name of the column with the intents.
        label_separator: as ``read_table`` has it, for rows with several labels, or none.
        seed: shuffles the training rows, so that ``fit(validation_split=0.1)`` holds out rows of every intent.
            None leaves them as they are.

    Attributes:
        train, test, validation: the checked tables, columns ``text`` and ``intent``, the rows in the order of the ids.
        train_x, test_x, validation_x: ids, int32 (sentences, max_seq_len), 0 where a sentence has ended.
        train_y, test_y, validation_y: label numbers, int32 (sentences,); -1 for a label that is not in ``classes``.
            With ``label_separator`` 1 for each label that a sentence has, float32 (sentences, classes).
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
        validation: Source | None = None,
        text_column: str = TEXT,
        label_column: str = INTENT,
        label_separator: str | None = None,
        seed: int | None = 0,
    ) -> None:
        def read(source: Source | None) -> pd.DataFrame | None:
            return None if source is None else read_table(source, text_column, label_column, label_separator)

        table, self.test, self.validation = read(train), read(test), read(validation)
        assert table is not None
        self.train = table if seed is None else table.iloc[np.random.default_rng(seed).permutation(len(table))]
        self.tokenizer = tokenizer
        labels = all_labels(self.train[INTENT])
        self.classes = classes_of(labels) if classes is None else [plain_label(label) for label in classes]
        check_tables(self.train, self.validation, self.test, label_separator=label_separator)
        unknown = np.flatnonzero(label_ids(labels, self.classes) < 0)
        if len(unknown):
            known = ", ".join(shown(label) for label in self.classes[:NAMED]) + ", ..." * (len(self.classes) > NAMED)
            raise DataError(f"the training label {shown(labels[unknown[0]])} is not among the classes [{known}]")

        tables = [self.train, self.test, self.validation]
        texts = [text for part in tables if part is not None for text in part[TEXT]]
        ids = iter(encode(texts, tokenizer, max_seq_len))
        encoded = [None if part is None else [next(ids) for _ in range(len(part))] for part in tables]
        self.max_seq_len = max(len(sentence) for part in encoded if part is not None for sentence in part)
        self.train_x, self.train_y = self._arrays(self.train, encoded[0])
        self.test_x, self.test_y = self._arrays(self.test, encoded[1])
        self.validation_x, self.validation_y = self._arrays(self.validation, encoded[2])

    def _arrays(self, table: pd.DataFrame | None, ids: list[np.ndarray] | None) -> tuple[Any, Any]:
        if table is None or ids is None:
            return None, None
        if holds_label_sets(table[INTENT]):
            targets = label_matrix(list(table[INTENT]), self.classes).astype("float32")
        else:
            targets = label_ids(table[INTENT], self.classes)
        return pad(ids, self.max_seq_len), targets
