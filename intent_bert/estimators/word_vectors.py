"""Averaged word vectors for scikit-learn, the classic rival of BERT's: strings in, one float32 row a text out.

    "Play our song!"  ->  play  our  song   lower-cased; letters, marks and digits make words, all else parts them
                           |     |    |
                          (S,)   -   (S,)   a vector for each word that is known, S numbers
                           └─ mean ──┘   -> (S,)

The vectors are trained on the texts of ``fit`` by gensim's Word2Vec, or read from a file. The reading is done here
and not by gensim, which takes the first rows of a file that holds more than it says, stops at GloVe's words with a
space in them and can't tell the line at fault. Which classifier stands on the rows is not this module's business.
"""

import gzip
import itertools
import logging
import re
import unicodedata
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from io import BufferedIOBase
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from intent_bert.data.tables import check_texts
from intent_bert.errors import CheckpointError, DataError, SettingsError

logger = logging.getLogger("intent_bert")

Rows: TypeAlias = Iterator[tuple[str, bytes]]  # a word, and its numbers as float32

MOST_NUMBERS = 10_000  # in a vector
LEARNING_RATE = 0.05
WORDS_TO_LEARN_FROM = 250_000  # passed over in training, repeats of the texts included
FEWEST_EPOCHS, MOST_EPOCHS = 10, 1000

_WHOLE_NUMBERS = {  # the least and the most; gensim would hang at a window beyond C's int
    "size": (1, MOST_NUMBERS),
    "window": (1, 10_000),
    "min_count": (1, None),
    "epochs": (1, None),
    "seed": (0, 2**32 - 1),
    "limit": (1, None),
}


class WordVectorTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns texts into the mean of their words' vectors, for any scikit-learn classifier.

    A word counts as often as it stands in the text; a text without a known word becomes zeros, and a warning counts
    those. Once fitted, the object holds numpy's arrays and a dict alone: it needs neither gensim nor the file.

    Training is skip-gram with five negative samples (Mikolov et al. 2013, arXiv:1301.3781 and arXiv:1310.4546), which
    serves rare words and little text better than CBOW. A table of intents is tiny for it, and the vectors hardly leave
    their random start: after gensim's own five passes at learning rate 0.025 over 350 sentences of SNIPS, LinearSVC
    knows the intent of 27 % of others. So the learning rate is 0.05, every word counts (``min_count=1``), and a small
    table is passed over more often; 95 % then. The same texts, seed and gensim give the same vectors in any process.

    Args:
        vectors: None trains on the texts of ``fit``; or a file of pretrained vectors: ``.txt`` or ``.vec``, a word and
            its numbers in each line, as of word2vec and fastText (a first line with the number of words and of
            numbers) or of GloVe (none); ``.bin``, word2vec's binary format; each also ``.gz``. Never a pickle.
        size: numbers in a vector; a file brings its own.
        window: the farthest that two words of a text may stand apart to learn from each other.
        min_count: words that are rarer in the texts stay unknown.
        epochs: passes over the texts; None takes as many as make 250,000 words, but 10 to 1000.
        seed: of the random start and of what is drawn in training.
        lower_case: lower-case the texts. False for a file whose words keep their capitals, such as Google News.
        limit: how many words of a file are taken, from its top, where the frequent ones stand; None takes all. They
            are part of a pickle of this object: 500,000 words of 300 numbers are 600 MB.

    Attributes:
        words_: dict, the row of each known word.
        vectors_: float32 (words, size).
        n_epochs_: passes that were made; 0 with a file.

    Example:
        `make_pipeline(WordVectorTransformer(), LinearSVC()).fit(texts, intents).predict(["Play our song now"])`
    """

    def __init__(
        self,
        vectors: str | PathLike | None = None,
        *,
        size: int = 100,
        window: int = 5,
        min_count: int = 1,
        epochs: int | None = None,
        seed: int = 0,
        lower_case: bool = True,
        limit: int | None = 500_000,
    ) -> None:
        self.vectors = vectors
        self.size = size
        self.window = window
        self.min_count = min_count
        self.epochs = epochs
        self.seed = seed
        self.lower_case = lower_case
        self.limit = limit

    def fit(self, X: Any, y: Any = None) -> "WordVectorTransformer":
        """Train the vectors on the texts, or read them.

        Raises:
            DataError: a bare string, something among the texts that is no text (with its row), no word to learn from.
            SettingsError: a setting that can't be, a file that isn't there or is of another kind, gensim missing.
            CheckpointError: a file that isn't what its name says, or is damaged.
        """
        texts = check_texts(X)
        self._check_settings()
        if self.vectors is None:
            self.words_, self.vectors_, self.n_epochs_ = self._train(texts)
        else:
            self.words_, self.vectors_ = read_word_vectors(self.vectors, self.limit)
            self.n_epochs_ = 0
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The mean of each text's known words, float32 (texts, size), in order.

        Raises:
            DataError: a bare string, or something among the texts that is no text (with its row).
            sklearn.exceptions.NotFittedError: before ``fit``.
        """
        check_is_fitted(self)
        texts = check_texts(X)
        table = np.zeros((len(texts), self._n_features_out), "float32")
        unknown = 0
        for row, text in zip(table, texts, strict=True):
            places = [self.words_[word] for word in words_of(text, self.lower_case) if word in self.words_]
            if places:
                row[:] = self.vectors_[places].mean(axis=0)
            else:
                unknown += 1
        if unknown:
            logger.warning("%d of %d texts have no known word: their rows are zeros", unknown, len(texts))
        return table

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """``fit``, then ``transform``; a generator of texts is read once."""
        return super().fit_transform(X if hasattr(X, "shape") else check_texts(X), y, **fit_params)

    @property
    def _n_features_out(self) -> int:  # where scikit-learn's mixin looks
        return self.vectors_.shape[1]

    def _check_settings(self) -> None:
        if self.vectors is not None and not isinstance(self.vectors, (str, PathLike)):
            raise SettingsError(f"vectors must be the path of a file or None, not {type(self.vectors).__name__}")
        for name, (least, most) in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if value is None and name in ("epochs", "limit"):
                continue
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
                raise SettingsError(f"{name} must be a whole number, not {value!r}")
            if value < least or (most is not None and value > most):
                span = f"at least {least}" if most is None else f"{least} to {most}"
                raise SettingsError(f"{name} must be {span}, not {value}")

    def _train(self, texts: list[str]) -> tuple[dict[str, int], np.ndarray, int]:
        try:
            from gensim.models import Word2Vec
        except (ImportError, ValueError) as error:  # ValueError: gensim 4.3 beside numpy 2
            raise SettingsError(
                f"training word vectors needs gensim, which can't be imported ({error}): "
                "pip install --upgrade gensim, or give a file of pretrained vectors"
            ) from error
        sentences = [words_of(text, self.lower_case) for text in texts]
        counts = Counter(itertools.chain.from_iterable(sentences))
        if not counts:
            raise DataError(f"expected texts to learn word vectors from, but no word stands in these {len(texts)}")
        if max(counts.values()) < self.min_count:
            raise DataError(
                f"no word stands min_count={self.min_count} times in these {len(texts)} texts: lower min_count"
            )
        epochs = self.epochs or min(max(WORDS_TO_LEARN_FROM // counts.total(), FEWEST_EPOCHS), MOST_EPOCHS)
        learnt = Word2Vec(
            sentences, sg=1, negative=5, alpha=LEARNING_RATE, vector_size=int(self.size), window=int(self.window),
            min_count=int(self.min_count), epochs=int(epochs), seed=int(self.seed), workers=1,
        ).wv  # fmt: skip
        return dict(learnt.key_to_index), learnt.vectors.astype("float32"), int(epochs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def words_of(text: str, lower_case: bool = True) -> list[str]:
    """The words of a text: runs of letters, combining marks and digits of any script, in Unicode's NFC.

    A language that is written without spaces is not divided into words.

    >>> words_of("What's on at 9:30, Zoë_B?")
    ['what', 's', 'on', 'at', '9', '30', 'zoë', 'b']
    """
    text = unicodedata.normalize("NFC", text.lower() if lower_case else text)
    return "".join(character if _is_of_a_word(character) else " " for character in text).split()


@lru_cache(maxsize=1 << 12)
def _is_of_a_word(character: str) -> bool:
    kind = unicodedata.category(character)
    selects_an_emoji = "\ufe00" <= character <= "\ufe0f"  # a mark, but of the sign before it
    return kind[0] in "LN" or (kind in ("Mn", "Mc") and not selects_an_emoji)


# --- pretrained vectors ------------------------------------------------------------------------------------------

_HEADER = re.compile(rb"(\d{1,12}) (\d{1,12})\s*")
_LONGEST_LINE = 1 << 20  # bytes; what is no vectors file may have no line end at all
_LONGEST_WORD = 1 << 12
_PRINTABLE = bytes([9, 10, 13, *range(32, 127)])


def read_word_vectors(path: str | PathLike, limit: int | None = None) -> tuple[dict[str, int], np.ndarray]:
    """Read pretrained vectors; of a word that stands twice, the first. The file read last stays in memory.

    Args:
        path: .txt, .vec or .bin, or one of them and .gz.
        limit: take this many words from the top.

    Returns:
        The row of each word, and the vectors, float32 (words, size); not to be written to.

    Raises:
        SettingsError: no such file, a folder, a pickle, or a name that doesn't tell the format.
        CheckpointError: what is wrong in the file, and where.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise SettingsError(f"{file} is a folder: name the file of word vectors in it")
    try:
        state = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from error
    kind = _kind(file)
    if kind in (".kv", ".model", ".pkl", ".pickle"):
        raise _pickled(file)
    if kind not in (".txt", ".vec", ".bin"):
        raise SettingsError(
            f"{file} should be called .txt or .vec (lines of text) or .bin (word2vec's binary format), each also "
            "with .gz: rename it, or save the vectors in one of these formats"
        )
    return _read(file.resolve(), limit, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1)  # for the folds of a cross-validation
def _read(file: Path, limit: int | None, *_state: int) -> tuple[dict[str, int], np.ndarray]:
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as stream:
            return _table(file, stream, limit)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise CheckpointError(f"{file} can't be unpacked ({error}): fetch it again") from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _table(file: Path, stream: BufferedIOBase, limit: int | None) -> tuple[dict[str, int], np.ndarray]:
    first = stream.readline(_LONGEST_LINE).removeprefix(BOM_UTF8)
    if not first:
        raise CheckpointError(f"{file} is empty: expected word vectors")
    if first.startswith(b"\x80"):
        raise _pickled(file)
    header = _HEADER.fullmatch(first)
    count = int(header[1]) if header else None
    size = int(header[2]) if header else _trailing_numbers(_readable(first))
    if header and not 1 <= size <= MOST_NUMBERS:
        raise CheckpointError(f"{file}: its first line says {size} numbers a word: expected 1 to {MOST_NUMBERS}")
    if _kind(file) == ".bin":
        if not header:
            raise CheckpointError(
                f"{file}: expected a first line with the number of words and of numbers a word, got {_excerpt(first)}: "
                "it is not word2vec's binary format (fastText's own .bin isn't either: take its .vec)"
            )
        rows = _binary_rows(file, stream, size)
    elif size:
        rows = _text_rows(file, stream, size, b"" if header else first)
    else:
        raise CheckpointError(
            f"{file}, line 1: expected a word and its numbers, parted by spaces, got {_excerpt(first)}: "
            "it is no file of word vectors"
        )
    words: dict[str, int] = {}
    values = bytearray()
    read = 0
    for read, (word, numbers) in enumerate(rows, 1):
        if count is not None and read > count:
            raise CheckpointError(
                f"{file}: its first line says {count} words, but more follow: mend that line, or fetch the file again"
            )
        if limit is not None and read > limit:
            break
        if word not in words:
            words[word] = len(words)
            values += numbers
    else:
        if count not in (None, read):
            raise CheckpointError(
                f"{file}: its first line says {count} words, but {read} follow: it is cut short; fetch it again"
            )
    if not words:
        raise CheckpointError(f"{file} holds no word: expected word vectors")
    vectors = np.frombuffer(values, "<f4").reshape(-1, size).astype("float32", copy=False)
    if not np.isfinite(vectors).all():
        wrong = list(words)[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
        raise CheckpointError(f"{file}: the vector of {wrong!r} holds a number that is not finite; fetch it again")
    vectors.flags.writeable = False
    return words, vectors


def _text_rows(file: Path, stream: BufferedIOBase, size: int, first: bytes) -> Rows:
    """A word and its numbers in each line; a word may hold spaces (GloVe has some), a line may be blank."""
    lines = iter(lambda: stream.readline(_LONGEST_LINE), b"")
    for number, content in enumerate(itertools.chain([first], lines), 1):
        try:
            line = content.decode().rstrip(" \t\r\n")
        except UnicodeDecodeError:
            raise CheckpointError(
                f"{file}, line {number} is not UTF-8: save the file as UTF-8, or call it .bin if it is word2vec's "
                "binary format"
            ) from None
        if not line:
            continue
        word, *numbers = line.rsplit(" ", size)
        try:
            row = [float(each) for each in numbers]
        except ValueError:
            row = []
        if len(row) != size or (" " in word and _trailing_numbers(word)):
            raise CheckpointError(
                f"{file}, line {number}: expected a word and {size} numbers, parted by spaces, but {_excerpt(content)} "
                f"ends with {_trailing_numbers(line)}"
            )
        with np.errstate(over="ignore"):  # infinity is found later
            vector = np.array(row, "<f4").tobytes()
        yield word.strip(" "), vector


def _binary_rows(file: Path, stream: BufferedIOBase, size: int) -> Rows:
    """A word, a space and its numbers as float32, little-endian; some writers add a line end."""
    for number in itertools.count(1):
        word = bytearray()
        while (byte := stream.read(1)) not in (b" ", b"") and len(word) < _LONGEST_WORD:
            word += byte
        name = bytes(word.lstrip(b"\n"))
        if not byte and not name:
            return
        numbers = stream.read(4 * size)
        if number == 1 and len(numbers) >= 16 and not numbers.translate(None, _PRINTABLE):
            raise CheckpointError(f"{file} holds lines of text, not word2vec's binary format: call it .txt")
        if byte != b" " or len(numbers) < 4 * size:
            raise CheckpointError(
                f"{file}, word {number}: expected a word, a space and {size} numbers of 4 bytes, but it ends after "
                f"{len(numbers)} bytes: it is cut short or not word2vec's binary format; fetch it again"
            )
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise CheckpointError(
                f"{file}, word {number}: {_excerpt(name)} is not UTF-8: it is damaged or not word2vec's binary format"
            ) from None
        yield text, numbers


def _kind(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).suffix


def _trailing_numbers(line: str) -> int:
    """How many numbers stand at the end of a line; what it begins with is a word, whatever it looks like."""
    pieces = line.rstrip().split(" ")
    for found, piece in enumerate(reversed(pieces[1:])):
        try:
            float(piece)
        except ValueError:
            return found
    return len(pieces) - 1


def _readable(content: bytes) -> str:
    return content.rstrip().decode(errors="replace")


def _excerpt(content: bytes) -> str:
    text = _readable(content)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _unreadable(file: Path, error: OSError) -> SettingsError:
    return SettingsError(f"the file of word vectors {file} can't be read: {error.strerror or error}")


def _pickled(file: Path) -> SettingsError:
    return SettingsError(
        f"{file} is a pickle, gensim's own format, which can run code when it is read: save its vectors with "
        "KeyedVectors.save_word2vec_format('vectors.txt') and give that file"
    )
