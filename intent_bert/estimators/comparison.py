"""Do you need BERT, and do you need to fine-tune it? Every method on the same split of the same table.

    compare(config)  ->  OUTPUT_DIR/comparison.csv, .json     a row for each method and size
                                    /per_intent.csv, .png     F1 of each intent by method
                                    /predictions.csv          what each method answered to each sentence
                                    /cost.png                 accuracy against cost
                                    /learning_curve.png       with several sizes
                                    /outcomes/                one file for each method that is done

A method that is done is not run again, so a comparison that was interrupted goes on, and one that has ended can be
given more methods. What the methods are is rivals.py's business.
"""

import hashlib
import json
import logging
import pickle
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold

from intent_bert.config import INTENT, TEXT, CompareConfig
from intent_bert.data.datasets import read_tables
from intent_bert.data.labels import classes_of
from intent_bert.data.splits import split_off
from intent_bert.errors import DataError, SettingsError
from intent_bert.estimators.advice import advise
from intent_bert.estimators.baselines import Rival, bert_features, chosen, word_vectors
from intent_bert.estimators.bert_features import BertTransformer, shared_encoder
from intent_bert.evaluation.plots import cost_figure, intent_f1_figure, learning_curve_figure, save_figure
from intent_bert.evaluation.significance import bootstrap_interval, holm, mcnemar
from intent_bert.model.folder import write_json

logger = logging.getLogger("intent_bert")

OUTCOMES, STATE_FILE = "outcomes", "settings.json"
ALL = "all"
_FREE_TO_CHANGE = ("methods", "sizes", "output_dir", "strict")


@dataclass
class Outcome:
    """What one method did with one size of training table.

    Attributes:
        method, family: the rival's name and family.
        size: training sentences per intent, or "all".
        train_rows: training sentences (of a fold, on average).
        train_seconds: from texts to a fitted method (of a fold, on average). BERT vectors that several methods share
            are computed once and charged to each.
        ms_per_sentence: for answers to the whole test table at once.
        megabytes: what it takes on disk to answer, the encoder's weights included.
        answers: the answer to each test sentence, in order.
    """

    method: str
    family: str
    size: str
    train_rows: int
    train_seconds: float
    ms_per_sentence: float
    megabytes: float
    answers: list[str]


@dataclass
class Comparison:
    """The result of ``compare``.

    Attributes:
        table: a row for each method and size: accuracy with a bootstrap 95 % interval (``low``, ``high``), macro_f1,
            train_rows, train_seconds, ms_per_sentence, megabytes; ``p_value`` of an exact McNemar test against the
            most accurate method of that size, and ``p_holm``, the same with Holm's correction for their number.
        per_intent: F1, a row for each size and intent, a column for each method.
        predictions: text, truth, fold, and a column for each method and size.
        advice: two sentences.
        folder: where all of it was written.
    """

    table: pd.DataFrame
    per_intent: pd.DataFrame
    predictions: pd.DataFrame
    advice: list[str]
    folder: Path

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], texts: Sequence[str], truth: np.ndarray, folder: Path) -> Self:
        """The figures of these outcomes, all on the same test sentences."""
        table = pd.concat([_figures(part, truth) for part in _by_size(outcomes)], ignore_index=True)
        per_intent = pd.concat([_f1_by_intent(part, truth) for part in _by_size(outcomes)])
        predictions = pd.DataFrame({TEXT: list(texts), "truth": list(truth)})
        for each in outcomes:
            predictions[f"{each.method}@{each.size}"] = each.answers
        largest = _by_size(outcomes)[-1]
        rows = table.tail(len(largest)).to_dict("records")
        right = {each.method: np.array(each.answers, object) == truth for each in largest}
        return cls(table, per_intent, predictions, advise(rows, right), folder)

    def report(self) -> str:
        """The table for the terminal."""
        shown = self.table.copy()
        shown["accuracy"] = [f"{each:.2%}" for each in shown["accuracy"]]
        shown["95 %"] = [f"{low:.1%} - {high:.1%}" for low, high in zip(shown["low"], shown["high"], strict=True)]
        shown["p"] = ["best" if np.isnan(p) else f"{p:.3f}" if p >= 0.001 else "<0.001" for p in shown["p_holm"]]
        shown["macro F1"] = [f"{each:.3f}" for each in shown["macro_f1"]]
        shown["train s"] = [f"{each:.1f}" for each in shown["train_seconds"]]
        shown["ms/sentence"] = [f"{each:.2f}" for each in shown["ms_per_sentence"]]
        shown["MB"] = [f"{each:.1f}" for each in shown["megabytes"]]
        columns = ["method", "accuracy", "95 %", "p", "macro F1", "train s", "ms/sentence", "MB"]
        if shown["size"].nunique() > 1:
            columns.insert(1, "size")
        return shown[columns].to_string(index=False)

    def write(self, settings: dict[str, Any], facts: dict[str, Any]) -> None:
        """Write tables and pictures into the folder; what stands there under these names is replaced."""
        self.table.to_csv(self.folder / "comparison.csv", index=False)
        self.per_intent.to_csv(self.folder / "per_intent.csv")
        self.predictions.to_csv(self.folder / "predictions.csv", index=False)
        rows = json.loads(self.table.to_json(orient="records"))
        write_json(
            self.folder / "comparison.json",
            {"settings": settings, **facts, "advice": self.advice, "methods": rows},
        )
        largest = self.table[self.table["size"] == self.table["size"].iloc[-1]]
        save_figure(cost_figure(largest), self.folder / "cost.png")
        save_figure(intent_f1_figure(self.per_intent.loc[largest["size"].iloc[0]]), self.folder / "per_intent.png")
        if self.table["size"].nunique() > 1:
            save_figure(learning_curve_figure(self.table), self.folder / "learning_curve.png")


# --- the run -----------------------------------------------------------------------------------------------------


def compare(config: CompareConfig) -> Comparison:
    """Run the chosen methods on the same split with the same seed, and write what came of it.

    All methods learn from the training table alone (or from as many sentences of each intent as ``sizes`` says, the
    smaller samples being part of the larger) and answer the same test sentences, or each fold's under ``folds``. No
    method chooses anything on a validation table; one that the data has is left out.

    Raises:
        IntentBertError: a mistake in the settings or the data, or the output folder holds something else.
    """
    config.validate()
    rivals = chosen(config.methods)
    tables = read_tables(config)
    split = _Split.of(tables, config)
    if any(rival.family in ("frozen", "tuned") for rival in rivals):
        bert_features(config, "cls").fit(split.texts[:1])  # a wrong checkpoint or length is told now
    if any(rival.name == "word2vec-svm" for rival in rivals):
        word_vectors(config).fit(split.texts[:10])  # so are a file without vectors, and a missing package
    folder = _open_folder(config, split)
    sizes = [ALL if size is None else str(size) for size in config.sizes_asked()]
    plan = [(size, rival) for size in sizes for rival in rivals]
    logger.info(
        "%d methods; %s; %d test sentences", len(rivals), split.described(), sum(len(test) for _, test in split.folds)
    )
    runner = _Runner(config, split)
    outcomes = []
    for number, (size, rival) in enumerate(plan, start=1):
        path = folder / OUTCOMES / f"{rival.name}@{size}.json"
        outcome = _read_outcome(path)
        what = rival.name if size == ALL else f"{rival.name} with {size} sentences per intent"
        if outcome is None:
            logger.info("[%d/%d] %s: %s ...", number, len(plan), what, rival.what)
            outcome = runner.run(rival, size)
            _write_atomically(path, asdict(outcome))
        right = np.mean(np.array(outcome.answers) == split.truth)
        logger.info("[%d/%d] %s: accuracy %.2f %%", number, len(plan), what, 100 * right)
        outcomes.append(outcome)
    result = Comparison.of(outcomes, split.texts, split.truth, folder)
    result.write(asdict(config), {"test_rows": len(split.truth), "intents": len(split.intents)})
    return result


@dataclass
class _Split:
    """Pairs of training and test tables: one, or one for each fold."""

    folds: list[tuple[pd.DataFrame, pd.DataFrame]]

    @classmethod
    def of(cls, tables: dict[str, pd.DataFrame], config: CompareConfig) -> Self:
        train = tables["train"]
        if not config.folds:
            if "test" in tables:
                return cls([(train, tables["test"])])
            train, test = split_off(train, config.test_split, config.seed)
            if test.empty:
                raise DataError("there are too few sentences to hold out a test table: give one with --test-file")
            return cls([(train, test)])
        groups = train.groupby(TEXT).ngroup()  # a text that stands there twice stays on one side
        if config.folds > groups.nunique():
            raise SettingsError(f"folds must be at most {groups.nunique()}, one for each distinct text")
        folds = StratifiedGroupKFold(config.folds, shuffle=True, random_state=config.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an intent with fewer texts than folds: some lack it
            labels = train[INTENT].astype(str)
            parts = [(train.iloc[a], train.iloc[b]) for a, b in folds.split(train, labels, groups) if len(b)]
        for part, _ in parts:
            if part[INTENT].nunique() < 2:
                raise DataError(f"with {config.folds} folds one of them has a single intent to learn: take fewer")
        return cls(parts)

    @property
    def texts(self) -> list[str]:
        return [text for _, test in self.folds for text in test[TEXT]]

    @property
    def truth(self) -> np.ndarray:
        return np.array([str(label) for _, test in self.folds for label in test[INTENT]], object)

    @property
    def intents(self) -> list[str]:
        return sorted({str(label) for label in classes_of(self.folds[0][0][INTENT])})

    def described(self) -> str:
        rows = len(self.folds[0][0])
        if len(self.folds) == 1:
            return f"{rows} training sentences of {len(self.intents)} intents"
        return f"{len(self.folds)} folds of about {rows} training sentences of {len(self.intents)} intents"

    def sampled(self, size: str, seed: int) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        """The folds with at most ``size`` training sentences of each intent; smaller samples are part of larger."""
        if size == ALL:
            return self.folds
        sampled = []
        for train, test in self.folds:
            shuffled = train.iloc[np.random.default_rng(seed).permutation(len(train))]
            sampled.append((shuffled.groupby(shuffled[INTENT].astype(str)).head(int(size)).sort_index(), test))
        return sampled

    def fingerprint(self) -> str:
        rows = [[list(part[TEXT]), [str(label) for label in part[INTENT]]] for fold in self.folds for part in fold]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


class _Runner:
    """Fits and times methods; remembers what a sentence's BERT vector costs."""

    def __init__(self, config: CompareConfig, split: _Split) -> None:
        self.config, self.split = config, split
        self.seconds_per_vector: dict[str, float] = {}

    def run(self, rival: Rival, size: str) -> Outcome:
        vector = self._vector_seconds(rival)
        answers: list[str] = []
        rows, train_seconds, test_seconds, size_in_bytes = 0, 0.0, 0.0, 0
        folds = self.split.sampled(size, self.config.seed)
        for train, test in folds:
            texts, labels = list(train[TEXT]), [str(label) for label in train[INTENT]]
            estimator = rival.make(self.config)
            started = time.perf_counter()
            estimator.fit(texts, labels)
            train_seconds += time.perf_counter() - started + vector * len(texts)
            estimator.predict(list(test[TEXT][:2]))  # what is compiled at the first call is no part of an answer
            started = time.perf_counter()
            answers += [str(answer) for answer in estimator.predict(list(test[TEXT]))]
            test_seconds += time.perf_counter() - started + vector * len(test)
            rows += len(texts)
            size_in_bytes = _bytes_of(estimator, self.config)
        return Outcome(
            method=rival.name,
            family=rival.family,
            size=size,
            train_rows=round(rows / len(folds)),
            train_seconds=train_seconds / len(folds),
            ms_per_sentence=1000 * test_seconds / len(answers),
            megabytes=size_in_bytes / 1e6,
            answers=answers,
        )

    def _vector_seconds(self, rival: Rival) -> float:
        """Seconds for one BERT vector; the first time, all sentences' vectors are computed for later."""
        if rival.pooling is None:
            return 0.0
        if rival.pooling not in self.seconds_per_vector:
            transformer: BertTransformer = bert_features(self.config, rival.pooling)
            texts = sorted({text for fold in self.split.folds for part in fold for text in part[TEXT]})
            transformer.fit(texts[:1]).transform(texts[:2])  # compiled outside the time
            shared_encoder(self.config.checkpoint, self.config.do_lower_case).forget(rival.pooling)
            started = time.perf_counter()
            transformer.transform(texts)
            self.seconds_per_vector[rival.pooling] = (time.perf_counter() - started) / len(texts)
        return self.seconds_per_vector[rival.pooling]


def _bytes_of(estimator: Any, config: CompareConfig) -> int:
    size = len(pickle.dumps(estimator))
    parts = getattr(estimator, "steps", [])
    nested = [
        part for _, step in parts for part in (step, *(each for _, each in getattr(step, "transformer_list", [])))
    ]
    if any(isinstance(part, BertTransformer) for part in nested):  # it pickles without its weights
        bert = shared_encoder(config.checkpoint, config.do_lower_case).bert
        size += sum(4 * int(np.prod(weight.shape)) for weight in bert.weights if weight.dtype == "float32")
    return size


# --- the folder --------------------------------------------------------------------------------------------------


def _open_folder(config: CompareConfig, split: _Split) -> Path:
    """The output folder, made or found to hold a comparison of the same sentences with the same settings."""
    folder = Path(config.output_dir)
    settings = {name: value for name, value in asdict(config).items() if name not in _FREE_TO_CHANGE}
    settings = json.loads(json.dumps({**settings, "sentences": split.fingerprint()}))
    try:
        (folder / OUTCOMES).mkdir(parents=True, exist_ok=True)
        state = folder / OUTCOMES / STATE_FILE
        others = [entry.name for entry in folder.iterdir() if entry.name != OUTCOMES]
        if not state.is_file():
            if others:
                (folder / OUTCOMES).rmdir()
                raise SettingsError(
                    f"won't write into {folder}: it holds other things ({others[0]}); name a new folder"
                )
            _write_atomically(state, settings)
            return folder
        found = json.loads(state.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"can't write to {folder}: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise SettingsError(f"{state} is damaged: delete {folder} to start from the beginning") from None
    changed = [name for name, value in settings.items() if found.get(name) != value]
    if changed:
        raise SettingsError(
            f"{folder} holds a comparison with {changed[0]}={found.get(changed[0])}, not {settings[changed[0]]}: "
            "name another folder, or delete that one"
        )
    return folder


def _read_outcome(path: Path) -> Outcome | None:
    try:
        return Outcome(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        raise SettingsError(f"{path} is damaged: delete it to have this method run again") from None


def _write_atomically(path: Path, value: Any) -> None:
    written = path.with_name(f".{path.name}.new")
    try:
        write_json(written, value)
        written.replace(path)
    except OSError as error:
        raise SettingsError(f"can't write to {path.parent}: {error.strerror}; what is done so far is kept") from None


# --- the figures -------------------------------------------------------------------------------------------------


def _by_size(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    sizes = list(dict.fromkeys(each.size for each in outcomes))
    return [[each for each in outcomes if each.size == size] for size in sizes]


def _figures(outcomes: Sequence[Outcome], truth: np.ndarray) -> pd.DataFrame:
    """A row for each method of one size, in the order they came."""
    right = [np.array(each.answers, object) == truth for each in outcomes]
    best = int(np.argmax([each.mean() for each in right]))
    p_values = [mcnemar(each, right[best]) if number != best else np.nan for number, each in enumerate(right)]
    rows = []
    for each, correct, p, p_holm in zip(outcomes, right, p_values, holm(p_values), strict=True):
        low, high = bootstrap_interval(correct)
        rows.append(
            {
                "method": each.method,
                "family": each.family,
                "size": each.size,
                "accuracy": accuracy_score(truth, each.answers),
                "low": low,
                "high": high,
                "macro_f1": f1_score(truth, each.answers, average="macro", zero_division=0),
                "train_rows": each.train_rows,
                "train_seconds": each.train_seconds,
                "ms_per_sentence": each.ms_per_sentence,
                "megabytes": each.megabytes,
                "p_value": p,
                "p_holm": p_holm,
            }
        )
    return pd.DataFrame(rows)


def _f1_by_intent(outcomes: Sequence[Outcome], truth: np.ndarray) -> pd.DataFrame:
    intents = sorted(set(truth.tolist()))
    columns = {
        each.method: precision_recall_fscore_support(truth, each.answers, labels=intents, zero_division=0)[2]
        for each in outcomes
    }
    index = pd.MultiIndex.from_product([[outcomes[0].size], intents], names=["size", "intent"])
    return pd.DataFrame(columns, index=index)
