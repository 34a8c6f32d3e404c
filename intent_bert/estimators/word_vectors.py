"""Averaged word vectors for scikit-learn, the classic baseline beside BERT's: strings in, one float32 row a text out.

    "Play our song!"  ->  play  our  song   lower-cased; letters, marks and digits make words, all else parts them
                           |     |    |
                          (S,)   -   (S,)   a vector for each word that is known, S numbers
                           └─ mean ──┘   -> (S,)

The vectors are trained on the texts of ``fit`` by gensim's Word2Vec, or read from a file (``word_vector_files``). Which
classifier stands on the rows is the caller's choice.
"""

import itertools
import logging
import unicodedata
from collections import Counter
from functools import lru_cache
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from intent_bert.data.tables import check_texts
from intent_bert.errors import DataError, SettingsError
from intent_bert.estimators.word_vector_files import MOST_NUMBERS, read_word_vectors

logger = logging.getLogger("intent_bert")

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
