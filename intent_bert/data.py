"""From a table of sentences and intents to checked rows, and from rows to batches of ids.

    read_table            csv, tsv, jsonl, parquet, DataFrame or (texts, labels) -> columns text, intent
    check_texts           a list of texts as scikit-learn hands it over -> a list of strings
    check_tables          everything that can be wrong with the rows, told before anything slow starts
    IntentDetectionData   the tutorial's preprocessor: tables -> padded ids and label numbers
    bucketed_batches      shuffled batches of sentences of about the same length

The index of a table that ``read_table`` gives is the row's number as its owner sees it: line 2 is the first row
under the header of a csv, line 1 the first of a jsonl, and a DataFrame keeps its own index. Nothing here knows of
models.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.errors import DataError, SettingsError
from intent_bert.settings import DEFAULT_MAX_SEQ_LEN, INTENT, TEXT

logger = logging.getLogger("intent_bert")

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")

Label: TypeAlias = str | int | float | bool
Source: TypeAlias = str | PathLike | pd.DataFrame | tuple[Sequence[str], Sequence[Label]]


# --- reading -----------------------------------------------------------------------------------------------------


def read_table(source: Source, text_column: str = TEXT, label_column: str | None = INTENT) -> pd.DataFrame:
    """Read sentences and their intents, and check each row.

    Args:
        source: a path (.csv, .tsv, .jsonl, .parquet), a DataFrame, or a pair (texts, labels).
        text_column: the name of the column with the sentences.
        label_column: the name of the column with the intents; ``None`` reads the sentences alone.

    Returns:
        A DataFrame with the columns ``text`` (str) and, unless left out, ``intent`` (str; int, float or bool where
        the source is typed and has those), the rows in order, ``attrs["source"]`` saying where from.

    Raises:
        DataError: no such file, an unreadable one, a missing column, an empty table, an empty text or label.
    """
    if isinstance(source, tuple):
        frame, name = _frame_of_pair(source, text_column, label_column), "the given texts"
    elif isinstance(source, pd.DataFrame):
        frame, name = source, source.attrs.get("source", "the DataFrame")
    elif isinstance(source, (str, PathLike)):
        frame, name = _read_file(Path(source)), str(source)
    else:
        raise DataError(f"expected a path, a DataFrame or (texts, labels), got {type(source).__name__}")
    if text_column == label_column:
        raise SettingsError(f"the sentences and the intents can't both be in the column {text_column!r}: name two")
    columns = {text_column: TEXT} | ({label_column: INTENT} if label_column else {})
    for column in columns:
        if column not in frame.columns:
            there = ", ".join(map(str, frame.columns)) or "none"
            flag = "text" if column == text_column else "label"
            raise DataError(f"{name} has no column {column!r}; it has: {there} (name one with --{flag}-column)")
        if list(frame.columns).count(column) > 1:
            raise DataError(f"{name} has several columns {column!r}: give each a name of its own")
    table = pd.DataFrame({new: frame[old] for old, new in columns.items()}, index=frame.index).astype(object)
    if table.empty:
        raise DataError(f"{name} is empty: expected at least one row under the header")
    table[TEXT] = _check_sentences(table[TEXT], name, text_column)
    if label_column:
        table[INTENT] = _check_labels(table[INTENT], name, label_column)
    table.attrs["source"] = name
    return table


def _frame_of_pair(pair: tuple, text_column: str, label_column: str | None) -> pd.DataFrame:
    if len(pair) != 2:
        raise DataError(f"expected a pair (texts, labels), got {len(pair)} things")
    texts, labels = pair
    if len(texts) != len(labels):
        raise DataError(f"expected as many labels as texts, got {len(texts)} texts and {len(labels)} labels")
    columns = {text_column: list(texts)} | ({label_column: list(labels)} if label_column else {})
    return pd.DataFrame(columns, dtype=object)


def _read_file(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise DataError(f"expected a file, but {path} is a folder (a folder of train/valid/test goes to --data)")
    if not path.exists():
        raise DataError(f"no such file: {path}")
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise DataError(f"can't tell how to read {path}: expected one of {', '.join(FORMATS)}")
    return readers[path.suffix.lower()](path)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}") from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is UTF-16; save the file as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02X} is not UTF-8; save the file as UTF-8"
        ) from None


def _read_csv(path: Path) -> pd.DataFrame:
    text = _read_text(path)
    body = text.lstrip("\r\n")
    skipped = len(text[: len(text) - len(body)].splitlines())
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    header = body.split("\n", 1)[0]
    found = next((sign for sign in ";\t," if sign in header), separator)
    if separator not in header and found != separator:
        raise DataError(f"{path}: the columns are separated by {found!r}, expected {separator!r}; save it so")
    try:  # the header is read as a row, so that pandas counts the fields of every row under it
        frame = pd.read_csv(
            StringIO(body),
            sep=separator,
            header=None,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
        )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty: expected a header and rows") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{path} is not a table: {_parser_reason(str(error), skipped)}") from None
    frame = frame.fillna("")
    frame.columns = pd.Index([str(name).strip() for name in frame.iloc[0]])
    frame = frame.iloc[1:]
    frame.index = pd.RangeIndex(skipped + 2, skipped + 2 + len(frame), name="row")  # as a spreadsheet numbers them
    return frame[(frame != "").any(axis=1)]  # blank lines are no rows


def _parser_reason(message: str, skipped: int) -> str:
    """What pandas' parser says, with the row as the owner of the file numbers it."""
    fields = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if fields:
        expected, row, found = map(int, fields.groups())
        return (
            f"row {row + skipped} has {found} fields, the header has {expected}; "
            "quote the fields that hold a separator or a quote"
        )
    quote = re.search(r"EOF inside string starting at row (\d+)", message)
    if quote:
        return f"the quote that opens in row {int(quote[1]) + 1 + skipped} is never closed; close it, or double it"
    return message.removeprefix("Error tokenizing data. C error: ").strip()


def _read_jsonl(path: Path) -> pd.DataFrame:
    rows: dict[int, dict] = {}
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not valid JSON ({error})") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}")
        rows[number] = row
    if not rows:
        raise DataError(f"{path} is empty: expected one JSON object a line")
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    values = [[row.get(column) for column in columns] for row in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows, name="row"), columns=columns, dtype=object)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise DataError(f"reading {path} needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # pyarrow has many kinds; all mean that this is no parquet file
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return frame.reset_index(drop=True)


def _check_sentences(texts: pd.Series, name: str, column: str) -> list[str]:
    for row, text in texts.items():
        if _is_missing(text):
            raise DataError(f"{name}, row {row}, column {column!r}: the text is empty; fill it in or delete the row")
        if not isinstance(text, str):
            raise DataError(f"{name}, row {row}, column {column!r}: expected text, found {text!r}")
        _check_whole_characters(text, f"{name}, row {row}, column {column!r}")
    return list(texts)


def _check_whole_characters(text: str, place: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"{place}: {text!r} holds half a character (a lone surrogate); mend it or delete the row")


def _check_labels(labels: pd.Series, name: str, column: str) -> list[Label]:
    checked: list[Label] = []
    for row, value in labels.items():
        label = value.item() if isinstance(value, np.generic) else value
        if _is_missing(label):
            raise DataError(f"{name}, row {row}, column {column!r}: the label is empty; fill it in or delete the row")
        if not isinstance(label, (str, int, float, bool)):
            raise DataError(f"{name}, row {row}, column {column!r}: expected a word or a number, found {label!r}")
        _check_whole_characters(str(label), f"{name}, row {row}, column {column!r}")
        checked.append(label.strip() if isinstance(label, str) else label)
    return checked


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def check_texts(X: Any) -> list[str]:
    """The texts as a list, each of them known to be a string.

    Raises:
        DataError: a bare string, a table, or something that is no text, with its row.
    """
    if isinstance(X, (str, bytes)):
        raise DataError("expected a list of texts, got a single string: put it in a list")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise DataError(f"expected one column of texts, got {type(X).__name__} of shape {shape}: choose a column")
    if not isinstance(X, Iterable):
        raise DataError(f"expected a list of texts, got {type(X).__name__}")
    texts = list(X)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"expected texts, found {text!r} in row {row} (counted from 0): fill it in or drop the row")
    return texts


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
    return [
        f"{train.attrs.get('source')}: {_count(len(texts), 'text stands', 'texts stand')} under more than one intent, "
        f"such as {texts[0]!r} ({where})"
    ]


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


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# --- labels ------------------------------------------------------------------------------------------------------


def classes_of(labels: Sequence[Label] | pd.Series) -> list[Label]:
    """The distinct labels, sorted.

    Raises:
        DataError: two labels differ in type only, such as 1 and "1".
    """
    distinct: dict[str, Label] = {}
    for label in labels:
        known = distinct.setdefault(str(label), label)
        if type(known) is not type(label):
            raise DataError(f"the labels {known!r} and {label!r} differ in type only: use one of them")
    return sorted(distinct.values(), key=lambda label: (isinstance(label, str), label))


def label_ids(labels: Sequence[Label] | pd.Series, classes: Sequence[Label]) -> np.ndarray:
    """The number of each label in ``classes`` (int32, -1 where it is not among them).

    Labels are compared as they are written, so that the "1" of a csv finds the 1 of a DataFrame.
    """
    index = {str(label): number for number, label in enumerate(classes)}
    return np.array([index.get(str(label), -1) for label in labels], "int32")


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


def split_table(
    table: pd.DataFrame, shares: Sequence[float] = (0.7, 0.15, 0.15), seed: int = 0
) -> tuple[pd.DataFrame, ...]:
    """Split a table into train, validation and test, with about these shares of every intent (stratified, seeded).

    Built on ``split_off``: all rows of one text go to the same part, a text under two intents and an intent's only
    text to train. An intent of two texts is in train and test.

    Args:
        table: columns ``text`` and ``intent``, as ``read_table`` gives it.
        shares: of train, validation and test, or of train and test alone; only their ratio counts.

    Raises:
        SettingsError: not two or three shares, or one that isn't above 0.

    >>> table = pd.DataFrame({"text": list("abcdefghij"), "intent": ["x", "y"] * 5})
    >>> [len(part) for part in split_table(table, (60, 20, 20))]
    [6, 2, 2]
    """
    if len(shares) not in (2, 3) or not all(0 < share < float("inf") for share in shares):
        raise SettingsError(f"expected two or three shares above 0, such as 70, 15, 15, not {list(shares)}")
    total = sum(shares)
    rest, test = split_off(table, shares[-1] / total, seed)
    if len(shares) == 2:
        return rest, test
    train, validation = split_off(rest, shares[1] / (total - shares[2]), seed)
    return train, validation, test


# --- ids and batches -----------------------------------------------------------------------------------------------


def encode(texts: Sequence[str], tokenizer: FullTokenizer, max_seq_len: int) -> list[list[int]]:
    """``[CLS] ids... [SEP]`` of each text, at most ``max_seq_len`` long; says once how many were cut."""
    ids, cut = tokenizer.encode(texts, max_seq_len)
    if cut:
        logger.warning("%s cut to max_seq_len=%d tokens", _count(cut, "sentence was", "sentences were"), max_seq_len)
    return ids


def pad(ids: Sequence[Sequence[int]], length: int | None = None) -> np.ndarray:
    """Lay ids in a matrix (sentences, length) of int32, 0 to the right; length defaults to the longest."""
    length = max(map(len, ids), default=0) if length is None else length
    matrix = np.zeros((len(ids), length), "int32")
    for row, sentence in enumerate(ids):
        matrix[row, : len(sentence)] = sentence
    return matrix


def bucketed_batches(
    ids: Sequence[Sequence[int]], batch_size: int, rng: np.random.Generator, pool: int = 50
) -> Iterator[np.ndarray]:
    """Give every sentence's index once, in batches of about the same length, in random order.

    The sentences are shuffled, sorted by length within pools of ``pool`` batches, cut into batches, and the batches
    of all pools are shuffled: a batch is as long as its longest sentence, and little of it is padding.
    """
    order = rng.permutation(len(ids))
    lengths = np.array([len(sentence) for sentence in ids])
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    for number in rng.permutation(len(batches)):
        yield batches[number]


class IntentDetectionData:
    """Tables of sentences as padded ids and label numbers, ready for ``model.fit``.

    Args:
        train: a DataFrame, a path, or (texts, labels); see ``read_table``.
        test: the same, or None.
        tokenizer: a ``FullTokenizer``.
        classes: the intents in the order of the model's outputs; by default train's, sorted.
        max_seq_len: sentences longer than this many tokens ([CLS] and [SEP] included) are cut.
        valid: a third table, or None.
        text_column, label_column: the names of the columns.
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

        data = IntentDetectionData(train, test, tokenizer, classes, max_seq_len=128)
        data.train_x.shape, data.train_y.shape
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

    def _arrays(self, table: pd.DataFrame | None, ids: list[list[int]] | None) -> tuple[Any, Any]:
        if table is None or ids is None:
            return None, None
        return pad(ids, self.max_seq_len), label_ids(table[INTENT], self.classes)
