"""The methods that ``compare`` sets against each other, each a scikit-learn estimator from raw texts to intents.

    majority                                 the commonest intent, whatever the text: the floor
    tfidf-logreg, tfidf-svm                  words counted, then a linear classifier
    word2vec-svm                             Word2Vec vectors averaged, then a linear SVM
    bert-{cls,mean,sum4}-{logreg,svm,rbf}    a frozen encoder's vectors, then a classifier
    bert-tfidf-svm                           both kinds of features side by side
    frozen-linear, frozen-rnn                a softmax over the frozen [CLS] vector; a BiLSTM over frozen token vectors
    last-1, last-2, ...                      fine-tuning of the last encoder layers only
    fine-tuning                              fine-tuning of everything

Nothing is tuned here: each classifier has scikit-learn's own settings, fine-tuning those of ``TrainingConfig``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from intent_bert.config import CompareConfig
from intent_bert.errors import SettingsError, nearest

FAMILIES = {
    "floor": "no learning",
    "words": "words, without BERT",
    "frozen": "BERT, frozen",
    "tuned": "BERT, fine-tuned",
}
POOLING_NAMES = {"cls": "cls", "mean": "mean", "sum4": "sum_last_four"}
LADDER = ("majority", "tfidf-svm", "bert-mean-logreg", "bert-tfidf-svm", "last-2", "fine-tuning")


@dataclass(frozen=True)
class Rival:
    """A method: its name, its family (a key of ``FAMILIES``), what it is in a line, and what makes a fresh estimator.

    ``pooling`` names the BERT vectors it stands on, where they can be computed beforehand.
    """

    name: str
    family: str
    what: str
    make: Callable[[CompareConfig], Any]
    pooling: str | None = None


def _majority(_: CompareConfig) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


def _logreg(config: CompareConfig) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, class_weight=config.class_weight)


def _svm(config: CompareConfig) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(class_weight=config.class_weight, random_state=config.seed)


def _rbf(config: CompareConfig) -> Any:
    from sklearn.svm import SVC

    return SVC(class_weight=config.class_weight)


def _tfidf() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer()


def bert_features(config: CompareConfig, pooling: str) -> Any:
    """The ``BertTransformer`` of a comparison."""
    from intent_bert.estimators.bert_features import BertTransformer

    return BertTransformer(
        config.checkpoint,
        pooling=pooling,
        max_length=config.max_seq_len,
        do_lower_case=config.do_lower_case,
        verbose=1,
    )


def _pipeline(*steps: Callable[[CompareConfig], Any]) -> Callable[[CompareConfig], Any]:
    def make(config: CompareConfig) -> Any:
        from sklearn.pipeline import make_pipeline

        return make_pipeline(*(step(config) for step in steps))

    return make


def _bert_and_tfidf(config: CompareConfig) -> Any:
    from sklearn.pipeline import FeatureUnion

    return FeatureUnion([("bert", bert_features(config, "mean")), ("tf_idf", _tfidf())])


def word_vectors(config: CompareConfig) -> Any:
    """The ``WordVectorTransformer`` of a comparison."""
    from intent_bert.estimators.word_vectors import WordVectorTransformer

    return WordVectorTransformer(config.word_vectors, seed=config.seed)


def _tuned(**settings: Any) -> Callable[[CompareConfig], Any]:
    def make(config: CompareConfig) -> Any:
        from intent_bert.estimators.classifier import IntentClassifier

        shared = ("checkpoint", "do_lower_case", "max_seq_len", "epochs", "class_weight", "seed")
        return IntentClassifier(**{name: getattr(config, name) for name in shared}, **settings, verbose=1)

    return make


def _last(layers: int) -> Rival:
    what = f"fine-tuning of the last {layers} encoder layers" if layers > 1 else "fine-tuning of the last encoder layer"
    return Rival(f"last-{layers}", "tuned", what, _tuned(train_layers=layers))


def _on_bert(short: str, name: str, kind: str, classifier: Callable[[CompareConfig], Any]) -> Rival:
    pooling = POOLING_NAMES[short]
    make = _pipeline(lambda config: bert_features(config, pooling), classifier)
    return Rival(f"bert-{short}-{name}", "frozen", f"frozen BERT vectors ({pooling}) + {kind}", make, pooling)


_CLASSIFIERS: tuple[tuple[str, str, Callable[[CompareConfig], Any]], ...] = (
    ("logreg", "logistic regression", _logreg),
    ("svm", "linear SVM", _svm),
    ("rbf", "RBF SVM", _rbf),
)
_ALL = [
    Rival("majority", "floor", "the commonest intent", _majority),
    Rival("tfidf-logreg", "words", "TF-IDF + logistic regression", _pipeline(lambda _: _tfidf(), _logreg)),
    Rival("tfidf-svm", "words", "TF-IDF + linear SVM", _pipeline(lambda _: _tfidf(), _svm)),
    Rival("word2vec-svm", "words", "Word2Vec vectors averaged + linear SVM", _pipeline(word_vectors, _svm)),
    *(_on_bert(short, *each) for short in POOLING_NAMES for each in _CLASSIFIERS),
    Rival("bert-tfidf-svm", "frozen", "frozen BERT vectors (mean) and TF-IDF + linear SVM",
          _pipeline(_bert_and_tfidf, _svm), "mean"),
    Rival("frozen-linear", "frozen", "linear softmax over the frozen [CLS] vector",
          _tuned(head="linear", train_layers="head")),
    Rival("frozen-rnn", "frozen", "BiLSTM over frozen token vectors", _tuned(head="rnn", train_layers="head")),
    _last(2),
    Rival("fine-tuning", "tuned", "fine-tuning of everything", _tuned()),
]  # fmt: skip
RIVALS = {rival.name: rival for rival in _ALL}
GROUPS = {"ladder": LADDER, "all": tuple(RIVALS)}


def chosen(methods: str) -> list[Rival]:
    """The rivals that a comma-separated list of names and groups means, each once, in the order of the ladder.

    Raises:
        SettingsError: an unknown name, with the nearest known one.
    """
    names = [word.strip() for word in methods.split(",") if word.strip()]
    found: dict[str, Rival] = {}
    for name in (each for word in names for each in GROUPS.get(word, (word,))):
        if name in RIVALS:
            found[name] = RIVALS[name]
        elif match := re.fullmatch("last-([1-9][0-9]*)", name):
            found[name] = _last(int(match[1]))
        else:
            known = [*GROUPS, *RIVALS]
            raise SettingsError(
                f"unknown method {name!r}: did you mean {nearest(name, known)!r}? Known are {', '.join(known)}, "
                "and last-N for any number of layers"
            )
    if not found:
        raise SettingsError("no method is named: give some, separated by commas, or ladder, or all")
    order = list(RIVALS)
    return sorted(found.values(), key=lambda rival: order.index(rival.name) if rival.name in RIVALS else len(order) - 2)
