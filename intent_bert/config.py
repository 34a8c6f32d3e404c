"""The settings of a training run: each with its one default, and the recipes that change several at once."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from numbers import Real
from typing import Any, Self, TypeVar, get_args

from intent_bert.bert.config import BertConfig, resolved_max_seq_len
from intent_bert.bert.known_checkpoints import DEFAULT_CHECKPOINT
from intent_bert.errors import SettingsError

TEXT, INTENT = "text", "intent"  # the columns of a table
LABEL_SEPARATOR = "|"  # between the labels of a row with several
DEFAULT_MAX_SEQ_LEN = 192
DEFAULT_DROPOUT = 0.5
DEFAULT_KNOWN_ACCEPTANCE = 0.95
LEARNING_RATE_TIMES_WIDTH = 0.0384  # narrow encoders take, and small tables need, larger steps
HEAD_LEARNING_RATE = 3e-3  # where only new weights learn
INTENTS_OF_A_SLOW_HEAD = 7  # so few are learnt at the encoder's pace; many need a faster head
LEAST_EPOCHS = 3
LEAST_STEPS, LEAST_STEPS_PER_INTENT = 100, 8  # a small table is seen more often, until there are as many
LEAST_HEAD_STEPS = 1000
LEAST_STEPS_OF_SEVERAL, MOST_EPOCHS_FOR_THEM = 1000, 6  # sigmoids learn more slowly than a softmax
POOLINGS = ("cls", "mean", "max", "sum_last_four", "mean_last_four", "concat_last_four")
HEADS = ("dense", "linear", "cosine", "rnn")
CLASS_WEIGHTS = ("balanced",)
PRECISIONS = ("auto", "float32", "bfloat16", "mixed_float16")
RECIPES: dict[str, dict[str, Any]] = {  # what a setting is that was left open
    "default": {
        "pooling": "mean",
        "head": "cosine",
        "dropout": 0.1,
        "batch_size": 32,
        "warmup": 0.1,
        "decay": True,
        "label_smoothing": 0.0,
        "label_names": False,
        "models": 1,
    },
    "tutorial": {
        "pooling": "cls",
        "head": "dense",
        "dropout": 0.5,
        "epochs": 5,
        "batch_size": 16,
        "learning_rate": 1e-5,
        "head_learning_rate_multiplier": 1.0,
        "warmup": 0.0,
        "decay": False,
    },
    "accurate": {"models": 5},
    "few-shot": {"label_names": True},
}
CHOICES = {
    "recipe": tuple(RECIPES),
    "pooling": POOLINGS,
    "precision": PRECISIONS,
    "head": HEADS,
    "class_weight": CLASS_WEIGHTS,
}
OF_MULTI_LABEL = {"pooling": "cls", "head": "dense", "dropout": 0.5}  # of any recipe but where it says otherwise


_Config = TypeVar("_Config", bound=type)
_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def _setting(group: str, default: Any, help: str) -> Any:
    """A field with its help and its group, under which ``--help`` shows it."""
    return field(default=default, metadata={"help": help, "group": group})


_data, _model = partial(_setting, "data"), partial(_setting, "model")
_optimisation, _output = partial(_setting, "optimisation"), partial(_setting, "output")


def _of_recipe(group: str, name: str, help: str) -> Any:
    """A field that each recipe sets where it is left open."""
    others = [
        f"{recipe} {values[name]}" for recipe, values in RECIPES.items() if recipe != "default" and name in values
    ]
    default = RECIPES["default"].get(name)
    named = "; ".join([*([] if default is None else [str(default)]), *others])
    return _setting(group, None, f"{help} (default: {named})")


def _documented(config: _Config) -> _Config:
    """Tell each field's help in the class's docstring, where ``help()`` and the API pages show it."""
    lines = [f"    {each.name}: {each.metadata['help']} (default: {each.default!r})" for each in fields(config)]
    config.__doc__ = f"{config.__doc__}\n\nAttributes:\n" + "\n".join(lines)
    return config


class _Settings:
    """What every configuration does when it is made: plain Python values, each of its kind, then its own checks."""

    def __post_init__(self) -> None:
        self._fill()
        for each in fields(self):  # type: ignore[arg-type]
            value = _plain(getattr(self, each.name))
            setattr(self, each.name, value)
            _check_kind(each.name, value, each.type)
        self.validate()

    def _fill(self) -> None:
        """Set what was left open and depends on other settings."""

    def validate(self) -> None:
        """Raise SettingsError for a value that can't be meant."""

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """The settings by name.

        Raises:
            SettingsError: an unknown name, or a value that can't be meant.
        """
        known = {each.name for each in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(settings) - known)
        if unknown:
            raise SettingsError(f"unknown setting {', '.join(unknown)}: expected some of {', '.join(sorted(known))}")
        return cls(**settings)


def _plain(value: Any) -> Any:
    """A path as text, numpy's numbers as Python's, weights by their labels' text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return _by_text(value)
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
    return value.item() if is_scalar else value


def _by_text(weights: Mapping[Any, Any]) -> dict[str, Any]:
    """Weights by their labels' text; 1 and "1" are one label."""
    given: dict[str, Any] = {}
    for label, weight in weights.items():
        if str(_plain(label)) in given:
            raise SettingsError(f"class_weight names the label {label} twice, in two types: give it once")
        given[str(_plain(label))] = _plain(weight)
    return given


def _check_kind(name: str, value: Any, annotation: Any) -> None:
    kinds = get_args(annotation) or (annotation,)
    plain = [kind for kind in kinds if kind in _KINDS]
    of_kind = isinstance(value, tuple(plain)) and (bool in plain or not isinstance(value, bool))
    as_float = float in plain and isinstance(value, int) and not isinstance(value, bool)
    none = value is None and type(None) in kinds
    if not (of_kind or as_float or none or (isinstance(value, Mapping) and len(plain) < len(kinds))):
        expected = " or ".join(_KINDS[kind] for kind in plain)
        raise SettingsError(f"{name} must be {expected}{' or None' if type(None) in kinds else ''}, not {value!r}")


@_documented
@dataclass
class Architecture(_Settings):
    """What a classifier is made of, beside the encoder's own shape and the intents."""

    pooling: str = _model("cls", "how hidden states become one vector")
    head: str = _model("dense", "what stands on the encoder: dense tanh and softmax, linear softmax, or a BiLSTM (rnn)")
    dropout: float = _model(DEFAULT_DROPOUT, "dropout before and after the dense layer")
    max_seq_len: int | None = _model(
        None,
        "longer sentences are cut to this many tokens, [CLS] and [SEP] included "
        f"(default: {DEFAULT_MAX_SEQ_LEN}, or the checkpoint's positions if it has fewer)",
    )
    adapter_size: int | None = _model(None, "train adapters of this width and freeze the encoder")
    multi_label: bool = _model(False, "a sentence may have several intents, or none: sigmoids in place of the softmax")

    def validate(self) -> None:
        check_pooling(self.pooling)
        if self.head not in HEADS:
            raise SettingsError(f"unknown head {self.head!r}: expected one of {', '.join(HEADS)}")
        if self.head == "rnn" and self.pooling != "cls":
            raise SettingsError(f"head 'rnn' reads the vectors of all tokens: leave out pooling {self.pooling!r}")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        if self.max_seq_len is not None and self.max_seq_len < 3:
            raise SettingsError(f"max_seq_len must be at least 3, for [CLS], a token and [SEP], not {self.max_seq_len}")
        if self.adapter_size is not None and self.adapter_size < 1:
            raise SettingsError(f"adapter_size must be at least 1, not {self.adapter_size}")

    @property
    def architecture(self) -> "Architecture":
        """These settings alone, of a configuration that holds others besides."""
        return Architecture(**{each.name: getattr(self, each.name) for each in fields(Architecture)})


@_documented
@dataclass
class DataSettings(_Settings):
    """Where a run's tables are, and what their columns are called."""

    data: str | None = _data(None, "a known data set (intent-bert datasets) or a folder with train/valid/test files")
    train_file: str | None = _data(None, "a table to train on, in place of --data (csv, tsv, jsonl, parquet)")
    test_file: str | None = _data(None, "a table to judge on at the end")
    text_column: str = _data(TEXT, "the column with the sentences")
    label_column: str = _data(INTENT, "the column with the intents")
    strict: bool = _data(False, "turn warnings about the data into errors")


@_documented
@dataclass
class TrainingConfig(Architecture, DataSettings):
    """Every setting of a training run; ``from_recipe`` starts from a named set of them.

    A configuration checks itself when it is made: a value that can't be meant raises SettingsError. Paths and numpy
    numbers are taken as well.
    """

    validation_file: str | None = _data(None, "a table to choose the best epoch on")
    label_separator: str = _data(LABEL_SEPARATOR, "with --multi-label, what joins the labels of a row (json has lists)")
    mix: float = _data(
        0.0, "with --multi-label, add as many sentences joined from two or three as this share of the table (0 to 1)"
    )
    unknown_file: str | None = _data(
        None, "a table of sentences that no intent fits: they are not learnt, they choose from where on to reject"
    )
    unknown_label: str | None = _data(None, "rows with this label are such sentences, in place of an intent")
    known_acceptance: float = _data(
        DEFAULT_KNOWN_ACCEPTANCE,
        "share of the sentences in scope that a model asked to reject is to accept, where no unknown ones are given",
    )
    recipe: str = _optimisation("default", "what the settings are that are left open")
    pooling: str = _of_recipe("model", "pooling", "how hidden states become one vector")
    head: str = _of_recipe(
        "model",
        "head",
        "what stands on the encoder: cosines with a direction for each intent, dense tanh and softmax, linear softmax, "
        "or a BiLSTM (rnn)",
    )
    dropout: float = _of_recipe("model", "dropout", "dropout before the head, and after its dense layer")
    checkpoint: str = _model(DEFAULT_CHECKPOINT, "a known checkpoint (intent-bert checkpoints), a folder or a prefix")
    do_lower_case: bool | None = _model(None, "lower-case the text (default: as the checkpoint says, else yes)")
    epochs: int | None = _optimisation(
        None, f"how often every sentence is seen (default: {LEAST_EPOCHS}, more where the table is small)"
    )
    batch_size: int = _of_recipe("optimisation", "batch_size", "sentences in a step")
    learning_rate: float | None = _optimisation(
        None,
        "Adam's highest step size (default: 0.0384 / hidden_size: 1e-4 for all-MiniLM-L6-v2, 5e-5 for BERT-base; "
        f"{HEAD_LEARNING_RATE:g} with --train-layers head)",
    )
    head_learning_rate_multiplier: float | None = _optimisation(
        None, "the head's step size as a multiple of the encoder's (default: a seventh of the intents, 1 to 10)"
    )
    warmup: float = _of_recipe("optimisation", "warmup", "share of the steps in which the learning rate rises from 0")
    decay: bool = _of_recipe("optimisation", "decay", "let the learning rate fall to 0 in a straight line")
    weight_decay: float = _optimisation(
        0.0, "decoupled weight decay of the kernels (not of biases, LayerNorm, embeddings)"
    )
    train_layers: str | int = _optimisation(
        "all", "what learns beside the head: all, the last N encoder layers, or only head"
    )
    class_weight: str | Mapping[Any, float] | None = _optimisation(
        None, "balanced: rare intents count as much as common ones"
    )
    validation_split: float = _data(0.1, "share of train held out when there is no validation table")
    seed: int = _optimisation(0, "for the split, the order of sentences, dropout and new weights")
    label_smoothing: float = _of_recipe(
        "optimisation", "label_smoothing", "share of each label that is spread over all intents"
    )
    label_names: bool = _of_recipe(
        "optimisation", "label_names", "learn the intents' names, split into words, as further sentences"
    )
    models: int = _of_recipe(
        "optimisation",
        "models",
        "how many models are trained, one after another, and averaged into the one that is kept",
    )
    precision: str = _optimisation("auto", "of the products while training; auto takes bfloat16 where that is fast")
    resume: bool = _output(False, "go on with a run with these settings that was killed")
    export: bool = _output(True, "also write model.onnx, which gives faster predictions")
    output_dir: str = _output("runs/model", "the model folder to write")
    log_dir: str | None = _output(None, "TensorBoard logs (default: OUTPUT_DIR/logs)")

    @classmethod
    def from_recipe(cls, recipe: str, **settings: Any) -> Self:
        """The settings of a recipe ("default", "tutorial", "accurate", "few-shot"), changed by ``settings``."""
        return cls.of(**{"recipe": recipe, **settings})

    def _fill(self) -> None:
        if not isinstance(self.recipe, str) or self.recipe not in RECIPES:
            raise SettingsError(f"unknown recipe {self.recipe!r}: expected one of {', '.join(RECIPES)}")
        values = {**RECIPES["default"], **(OF_MULTI_LABEL if self.multi_label else {})}
        values |= RECIPES[self.recipe] if self.recipe != "default" else {}
        if self.head == "rnn":
            values["pooling"] = "cls"
        for name, value in values.items():
            if getattr(self, name) is None:
                setattr(self, name, value)

    def validate(self) -> None:
        super().validate()
        for name in ("epochs", "batch_size", "models"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} must be at least 1, not {value}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise SettingsError(f"learning_rate must be above 0 and below 1, not {self.learning_rate}")
        multiplier = self.head_learning_rate_multiplier
        if multiplier is not None and not 0 < multiplier <= 1000:
            raise SettingsError(f"head_learning_rate_multiplier must be above 0 and at most 1000, not {multiplier}")
        for name in ("warmup", "validation_split", "weight_decay", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        check_seed(self.seed)
        if self.precision not in PRECISIONS:
            raise SettingsError(f"unknown precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}")
        check_class_weight(self.class_weight)
        self._check_multi_label()
        check_known_acceptance(self.known_acceptance)
        if trained_layers(self.train_layers) is not None and self.adapter_size is not None:
            raise SettingsError("adapters freeze the encoder themselves: give adapter_size or train_layers, not both")

    def _check_multi_label(self) -> None:
        if not 0 <= self.mix <= 1:
            raise SettingsError(f"mix must be 0 to 1, a share of the table, not {self.mix}")
        if self.mix and not self.multi_label:
            raise SettingsError("mix makes sentences with several intents: give multi_label as well")
        if self.label_names and self.multi_label:
            raise SettingsError("label_names (and recipe few-shot) is for one intent a sentence, not for multi_label")
        if not self.label_separator:
            raise SettingsError("label_separator is empty: expected what joins the labels, such as '|'")
        if self.label_separator != LABEL_SEPARATOR and not self.multi_label:
            raise SettingsError("label_separator joins several labels of a sentence: give multi_label as well")
        if self.multi_label and self.known_acceptance != DEFAULT_KNOWN_ACCEPTANCE:
            raise SettingsError(
                "known_acceptance is for one intent a sentence: leave it out with multi_label, where each intent has a "
                "threshold of its own"
            )
        if self.multi_label and self.class_weight is not None:
            raise SettingsError("class_weight is for one intent a sentence: leave it out with multi_label")
        if self.multi_label and (self.unknown_file or self.unknown_label):
            raise SettingsError(
                "unknown_file and unknown_label are for one intent a sentence: with multi_label, give sentences that "
                "no intent fits an empty list of labels"
            )

    @property
    def separator_to_read(self) -> str | None:
        """``read_table``'s ``label_separator``: None where each row has one label."""
        return self.label_separator if self.multi_label else None

    def resolved(self, encoder: BertConfig, sentences: int, intents: int) -> Self:
        """The settings with what was left open: max_seq_len, learning rate and epochs, and the head's multiplier.

        Three epochs, or as many as make 8 steps for each intent and 100 in all; 1,000 where only the head learns. With
        ``multi_label`` up to six, until there are 1,000 steps. Where only the head learns the learning rate is the
        head's own.

        Raises:
            SettingsError: ``max_seq_len`` was asked for and is above the encoder's positions.
        """
        only_head = trained_layers(self.train_layers) == 0
        rate = HEAD_LEARNING_RATE if only_head else float(f"{LEARNING_RATE_TIMES_WIDTH / encoder.hidden_size:.3g}")
        least = LEAST_HEAD_STEPS if only_head else max(LEAST_STEPS, LEAST_STEPS_PER_INTENT * intents)
        steps = -(-sentences // self.batch_size)
        epochs = max(LEAST_EPOCHS, -(-least // steps))
        if self.multi_label:
            epochs = max(epochs, min(-(-LEAST_STEPS_OF_SEVERAL // steps), MOST_EPOCHS_FOR_THEM))
        multiplier = self.head_learning_rate_multiplier or min(max(intents / INTENTS_OF_A_SLOW_HEAD, 1.0), 10.0)
        return replace(
            self,
            learning_rate=self.learning_rate or rate,
            epochs=self.epochs or epochs,
            head_learning_rate_multiplier=1.0 if only_head else multiplier,
            max_seq_len=resolved_max_seq_len(self.max_seq_len, DEFAULT_MAX_SEQ_LEN, encoder.max_position_embeddings),
        )


@_documented
@dataclass
class CompareConfig(DataSettings):
    """Every setting of a comparison of methods."""

    methods: str = _model("default", "which methods, separated by commas; the groups default and all hold several")
    sizes: str = _data("all", "sentences per intent to train on, separated by commas, such as 10,50,200,all")
    folds: int = _data(0, "judge by cross-validation over train with this many folds (0: on the test table)")
    test_split: float = _data(0.2, "share of train held out when there is no test table")
    checkpoint: str = _model(DEFAULT_CHECKPOINT, "a known checkpoint (intent-bert checkpoints), a folder or a prefix")
    do_lower_case: bool | None = _model(None, "lower-case the text (default: as the checkpoint says, else yes)")
    max_seq_len: int | None = _model(
        None, "longer sentences are cut to this many tokens (default: 60, or the checkpoint's positions if fewer)"
    )
    epochs: int | None = _optimisation(None, "for the methods that train BERT (default: as intent-bert train has it)")
    class_weight: str | Mapping[Any, float] | None = _optimisation(None, "balanced: rare intents count as the others")
    word_vectors: str | None = _model(None, "pretrained vectors for word2vec-svm (default: trained on the sentences)")
    seed: int = _optimisation(0, "for splits, samples and new weights")
    output_dir: str = _output("runs/comparison", "the folder to write, and to go on in")

    def validate(self) -> None:
        """Raise SettingsError for a value that can't be meant."""
        if self.folds == 1 or self.folds < 0:
            raise SettingsError(f"folds must be 0, or at least 2, not {self.folds}")
        if not 0 < self.test_split < 1:
            raise SettingsError(f"test_split must be above 0 and below 1, not {self.test_split}")
        if self.epochs is not None and self.epochs < 1:
            raise SettingsError(f"epochs must be at least 1, not {self.epochs}")
        check_seed(self.seed)
        check_class_weight(self.class_weight)
        self.sizes_asked()

    def sizes_asked(self) -> list[int | None]:
        """The sizes as numbers in rising order, None for all.

        Raises:
            SettingsError: something is neither a number above 0 nor "all".
        """
        asked: set[float] = set()
        for word in str(self.sizes).split(","):
            if word.strip() == "all":
                asked.add(float("inf"))
            elif re.fullmatch("0*[1-9][0-9]*", word.strip()):
                asked.add(int(word))
            else:
                raise SettingsError(f"sizes must be numbers above 0, or all, separated by commas, not {self.sizes!r}")
        return [None if size == float("inf") else int(size) for size in sorted(asked)]


def check_known_acceptance(share: float) -> None:
    """Raise SettingsError unless this is a share between 0 and 1."""
    is_number = isinstance(share, Real) and not isinstance(share, bool)
    if not (is_number and 0 < share < 1):
        raise SettingsError(f"known_acceptance must be above 0 and below 1, not {share!r}")


def check_class_weight(class_weight: str | Mapping[Any, float] | None) -> None:
    """Raise SettingsError for weights that can't be meant, whatever the labels are."""
    if isinstance(class_weight, str) and class_weight not in CLASS_WEIGHTS:
        raise SettingsError(f"class_weight must be 'balanced', None or a weight for each label, not {class_weight!r}")
    for label, weight in class_weight.items() if isinstance(class_weight, Mapping) else ():
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not (is_number and 0 < weight < math.inf):
            raise SettingsError(f"class_weight must be a number above 0, not {weight!r} for {label!r}")


def trained_layers(train_layers: str | int) -> int | None:
    """``train_layers`` as a number: None for "all", 0 for "head", else how many of the last layers.

    Raises:
        SettingsError: it is none of these.
    """
    if train_layers in ("all", "head"):
        return None if train_layers == "all" else 0
    if not isinstance(train_layers, bool) and re.fullmatch("[0-9]+", str(train_layers)):
        return int(train_layers)
    raise SettingsError(f"train_layers must be all, head or a number of encoder layers, not {train_layers!r}")


def check_count(name: str, value: Any) -> int:
    """A number of things: Python's or NumPy's whole number, at least 1.

    Raises:
        SettingsError: it is none.
    """
    number = _plain(value)
    if not isinstance(number, int) or isinstance(number, bool):
        raise SettingsError(f"{name} must be a whole number, not {value!r}")
    if number < 1:
        raise SettingsError(f"{name} must be at least 1, not {number}")
    return number


def check_seed(seed: int) -> None:
    """Raise SettingsError for a seed that NumPy, Keras and TensorFlow don't all take."""
    if not 0 <= seed < 2**32:
        raise SettingsError(f"seed must be 0 to {2**32 - 1}, not {seed}")


def check_pooling(pooling: str) -> None:
    """Raise SettingsError for a pooling that isn't one of ``POOLINGS``."""
    if pooling not in POOLINGS:
        raise SettingsError(f"unknown pooling {pooling!r}: expected one of {', '.join(POOLINGS)}")
