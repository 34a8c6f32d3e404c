"""Stratified shares of a table: held-out rows, and one table as train, validation and test."""

from collections.abc import Sequence
from math import isclose
from numbers import Real

import numpy as np
import pandas as pd

from intent_bert.config import INTENT, TEXT, TrainingConfig, check_seed
from intent_bert.data.label_set_splits import held_out_texts
from intent_bert.data.label_sets import holds_label_sets
from intent_bert.data.labels import classes_of, label_ids
from intent_bert.data.tables import Source, read_table
from intent_bert.errors import DataError, SettingsError

PART_NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}  # of what split_table gives


def split_off(table: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a table in two, the second with about ``share`` of every intent's rows (stratified, seeded).

    An intent gives at least one row when it has two; an intent with a single row keeps it in the first table. All
    rows of one text go to the same side; a text under two intents stays in the first. Of label sets, every label gives
    its share.

    Raises:
        SettingsError: ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise SettingsError(f"the validation share must be between 0 and 1, not {share}")
    rng = np.random.default_rng(seed)
    if holds_label_sets(table[INTENT]):
        second = table[TEXT].isin(held_out_texts(list(table[TEXT]), list(table[INTENT]), share, rng))
        return table[~second], table[second]
    chosen: set[str] = set()
    numbers, counts = label_ids(table[INTENT], classes_of(table[INTENT])), table.groupby(TEXT)[INTENT].nunique()
    for number in range(numbers.max() + 1):
        texts = table[TEXT][numbers == number].unique()
        size = min(max(1, round(share * len(texts))), len(texts) - 1)
        free = [text for text in rng.permutation(texts.astype(object)) if counts[text] == 1]
        chosen.update(free[:size])
    second = table[TEXT].isin(chosen)
    return table[~second], table[second]


def split_table(
    table: Source,
    shares: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    label_separator: str | None = None,
) -> tuple[pd.DataFrame, ...]:
    """Split one table into train, validation and test, or with two shares into train and test (stratified, seeded).

    The shares are of every intent's distinct texts, rounded. As in ``split_off``, all rows of one text go to the same
    side and a text under two intents goes to train; an intent with a single text has it in train, one with two in
    train and test. The same seed and share of test give the same test rows, whatever goes to validation.

    Args:
        table: what ``read_table`` takes, with the columns text and intent.
        shares: positive numbers that add up to 1 or to 100.
        seed: 0 to 2**32 - 1.
        label_separator: as ``read_table`` has it, for rows with several labels: every label keeps its share.

    Returns:
        Two or three tables, the rows of each in the order of ``table`` and with its index.

    Raises:
        SettingsError: shares that are not two or three positive numbers or don't add up, or such a seed.
        DataError: a table that can't be used, or that is so small that one of the parts would be empty.

    Examples:
        >>> train, test = split_table((list("abcd"), list("xxyy")), (50, 50))
        >>> len(train), len(test)
        (2, 2)
    """
    fractions = _fractions(shares)
    check_seed(seed)
    table = read_table(table, label_separator=label_separator)
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


def with_validation(tables: dict[str, pd.DataFrame], config: TrainingConfig) -> dict[str, pd.DataFrame]:
    """The tables with a validation table held out of train, if there is none and the settings ask for it."""
    if "validation" in tables or not config.validation_split:
        return tables
    train, validation = split_off(tables["train"], config.validation_split, config.seed)
    held_out = {"validation": validation} if len(validation) else {}
    return {"train": train, **held_out, **{name: table for name, table in tables.items() if name != "train"}}
