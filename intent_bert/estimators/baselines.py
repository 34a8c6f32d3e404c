"""The methods that ``compare`` sets against each other, each a scikit-learn estimator from raw texts to intents.

    baselines
    majority                                 the commonest intent, whatever the text
    tfidf-logreg, tfidf-svm                  words counted, then a linear classifier
    word2vec-svm                             Word2Vec vectors averaged, then a linear SVM
    bert-{cls,mean,sum4}-{logreg,svm,rbf}    a frozen encoder's vectors, then a classifier
    bert-mean-normalised-{logreg,svm}        the same, each vector scaled to length 1
    bert-tfidf-svm                           both kinds of features side by side
    frozen-linear, frozen-rnn                a softmax over the frozen [CLS] vector; a BiLSTM over frozen token vectors

    fine-tuning
    last-1, last-2, ...                      of the last encoder layers only
    fine-tuning                              of everything

Nothing is tuned here: each classifier has scikit-learn's own settings, fine-tuning those of ``TrainingConfig``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intent_bert.config import CompareConfig
from intent_bert.errors import DataError, SettingsError, nearest

POOLING_NAMES = {"cls": "cls", "mean": "mean", "sum4": "sum_last_four"}
DEFAULT_METHODS = ("majority", "tfidf-svm", "bert-mean-logreg", "bert-tfidf-svm", "last-2", "fine-tuning")
DEFAULT_MAX_SEQ_LEN = 60

Check = Callable[[CompareConfig, Sequence[str]], None]


def _no_check(config: CompareConfig, texts: Sequence[str]) -> None:
    """For what can learn from any text."""


@dataclass(frozen=True)
class Method:
    """A method of a comparison.

    Attributes:
        name: what users call it.
        family: "floor", "words", "frozen" or "tuned" (``comparison_plots.FAMILIES`` has them in words).
        what: it is, in a line.
        make: gives a fresh estimator.
        check: raises what is wrong with the settings, or with the texts to learn from, before anything runs.
        pooling: the BERT vectors it stands on, where they can be computed beforehand.
    """

    name: str
    family: str
    what: str
    make: Callable[[CompareConfig], Any]
    check: Check = _no_check
    pooling: str | None = None


def _majority(_: CompareConfig) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


def _class_weight(config: CompareConfig) -> Any:
    """The weights as scikit-learn looks for them: under the number where a label's text is a whole number."""
    if not isinstance(config.class_weight, Mapping):
        return config.class_weight
    numbers = {int(label): weight for label, weight in config.class_weight.items() if re.fullmatch("-?[0-9]+", label)}
    return {**config.class_weight, **numbers}


def _logreg(config: CompareConfig) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, class_weight=_class_weight(config))


def _svm(config: CompareConfig) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(class_weight=_class_weight(config), random_state=config.seed)


def _rbf(config: CompareConfig) -> Any:
    from sklearn.svm import SVC

    return SVC(class_weight=_class_weight(config))


def _tfidf() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer()


def bert_features(config: CompareConfig, pooling: str) -> Any:
    """The ``BertTransformer`` of a comparison."""
    from intent_bert.estimators.bert_features import BertTransformer

    return BertTransformer(
        config.checkpoint,
        pooling=pooling,
        max_seq_len=config.max_seq_len,
        do_lower_case=config.do_lower_case,
        verbose=1,
    )


def _normaliser(_: CompareConfig) -> Any:
    from sklearn.preprocessing import Normalizer

    return Normalizer()


def _pipeline(*steps: Callable[[CompareConfig], Any]) -> Callable[[CompareConfig], Any]:
    def make(config: CompareConfig) -> Any:
        from sklearn.pipeline import make_pipeline

        return make_pipeline(*(step(config) for step in steps))

    return make


def _bert_and_tfidf(config: CompareConfig) -> Any:
    from sklearn.pipeline import FeatureUnion

    return FeatureUnion([("bert", bert_features(config, "mean")), ("tf_idf", _tfidf())])


def _word_vectors(config: CompareConfig) -> Any:
    from intent_bert.estimators.word_vectors import WordVectorTransformer

    return WordVectorTransformer(config.word_vectors, seed=config.seed)


def _tuned(**settings: Any) -> Callable[[CompareConfig], Any]:
    def make(config: CompareConfig) -> Any:
        from intent_bert.estimators.classifier import IntentClassifier

        shared = ("checkpoint", "do_lower_case", "epochs", "seed")
        return IntentClassifier(
            **{name: getattr(config, name) for name in shared},
            **settings,
            max_seq_len=_encoder_shape(config)[1],
            class_weight=config.class_weight,
            verbose=1,
        )

    return make


def _encoder_shape(config: CompareConfig) -> tuple[int, int]:
    """How many layers the checkpoint has, and the longest sentence for it in tokens."""
    from intent_bert.bert.checkpoint import check_checkpoint_folder
    from intent_bert.bert.config import params_from_pretrained_ckpt, resolved_max_seq_len
    from intent_bert.bert.pretrained import resolve

    params = params_from_pretrained_ckpt(check_checkpoint_folder(resolve(config.checkpoint)))
    positions = params.max_position_embeddings
    return params.num_layers, resolved_max_seq_len(config.max_seq_len, DEFAULT_MAX_SEQ_LEN, positions)


# --- what can be told before anything runs -----------------------------------------------------------------------


def _check_words(config: CompareConfig, texts: Sequence[str]) -> None:
    words_of = _tfidf().build_analyzer()
    if not any(words_of(text) for text in texts):
        raise DataError(
            f"TF-IDF needs a word of two or more letters, but none of the {len(texts)} training sentences has one: "
            "leave out the methods with tfidf"
        )


def _check_word_vectors(config: CompareConfig, texts: Sequence[str]) -> None:
    from intent_bert.estimators.word_vectors import words_of

    with_words = next(([text] for text in texts if words_of(text)), texts)
    _word_vectors(config).fit(with_words)  # a missing package or file, or no word at all


def _check_vectors(config: CompareConfig, texts: Sequence[str]) -> None:
    bert_features(config, "cls").fit(texts[:1])  # a wrong checkpoint or length


def _check_both(config: CompareConfig, texts: Sequence[str]) -> None:
    _check_words(config, texts)
    _check_vectors(config, texts)


def _check_tuned(last_layers: int = 0) -> Check:
    def check(config: CompareConfig, texts: Sequence[str]) -> None:
        layers, _ = _encoder_shape(config)
        if last_layers > layers:
            raise SettingsError(
                f"last-{last_layers} is one of {layers + 1} or more layers, but {config.checkpoint} has {layers}: take "
                f"last-1 to last-{layers}"
            )

    return check


# --- the list ----------------------------------------------------------------------------------------------------


def _last(layers: int) -> Method:
    what = f"fine-tuning of the last {layers} encoder layers" if layers > 1 else "fine-tuning of the last encoder layer"
    return Method(f"last-{layers}", "tuned", what, _tuned(train_layers=layers), _check_tuned(layers))


def _on_bert(short: str, name: str, kind: str, *steps: Callable[[CompareConfig], Any]) -> Method:
    pooling = POOLING_NAMES[short]
    make = _pipeline(lambda config: bert_features(config, pooling), *steps)
    what = f"frozen BERT vectors ({pooling}) + {kind}"
    return Method(f"bert-{short}-{name}", "frozen", what, make, _check_vectors, pooling)


_CLASSIFIERS: tuple[tuple[str, str, Callable[[CompareConfig], Any]], ...] = (
    ("logreg", "logistic regression", _logreg),
    ("svm", "linear SVM", _svm),
    ("rbf", "RBF SVM", _rbf),
)
_ALL = [
    Method("majority", "floor", "the commonest intent", _majority),
    Method("tfidf-logreg", "words", "TF-IDF + logistic regression",
           _pipeline(lambda _: _tfidf(), _logreg), _check_words),
    Method("tfidf-svm", "words", "TF-IDF + linear SVM", _pipeline(lambda _: _tfidf(), _svm), _check_words),
    Method("word2vec-svm", "words", "Word2Vec vectors averaged + linear SVM",
           _pipeline(_word_vectors, _svm), _check_word_vectors),
    *(_on_bert(short, *each) for short in POOLING_NAMES for each in _CLASSIFIERS),
    _on_bert("mean", "normalised-logreg", "scaling to length 1 + logistic regression", _normaliser, _logreg),
    _on_bert("mean", "normalised-svm", "scaling to length 1 + linear SVM", _normaliser, _svm),
    Method("bert-tfidf-svm", "frozen", "frozen BERT vectors (mean) and TF-IDF + linear SVM",
           _pipeline(_bert_and_tfidf, _svm), _check_both, "mean"),
    Method("frozen-linear", "frozen", "linear softmax over the frozen [CLS] vector",
           _tuned(pooling="cls", head="linear", train_layers="head"), _check_tuned()),
    Method("frozen-rnn", "frozen", "BiLSTM over frozen token vectors",
           _tuned(head="rnn", train_layers="head"), _check_tuned()),
    _last(2),
    Method("fine-tuning", "tuned", "fine-tuning of everything", _tuned(), _check_tuned()),
    Method("few-shot", "tuned", "fine-tuning of everything with the recipe few-shot",
           _tuned(recipe="few-shot"), _check_tuned()),
]  # fmt: skip
METHODS = {method.name: method for method in _ALL}
GROUPS = {"default": DEFAULT_METHODS, "all": tuple(METHODS)}
_FORMER_NAMES = {"ladder": "default"}


def chosen(methods: str) -> list[Method]:
    """The methods that a comma-separated list of names and groups means, each once, in the order of ``METHODS``.

    Raises:
        SettingsError: an unknown name, with the nearest known one.
    """
    names = [word.strip() for word in methods.split(",") if word.strip()]
    found: dict[str, Method] = {}
    for name in (each for word in names for each in GROUPS.get(_FORMER_NAMES.get(word, word), (word,))):
        if name in METHODS:
            found[name] = METHODS[name]
        elif match := re.fullmatch("last-([1-9][0-9]*)", name):
            found[name] = _last(int(match[1]))
        else:
            known = [*GROUPS, *METHODS]
            raise SettingsError(
                f"unknown method {name!r}: did you mean {nearest(name, known)!r}? Known are {', '.join(known)}, "
                "and last-N for any number of layers"
            )
    if not found:
        raise SettingsError("no method is named: give some, separated by commas, or default, or all")
    order = list(METHODS)
    return sorted(found.values(), key=lambda each: order.index(each.name if each.name in METHODS else "last-2"))
