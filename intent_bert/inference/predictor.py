"""Ask a trained model: texts in, intents and probabilities out.

predictor = IntentPredictor.load("runs/model")
predictor.predict(["Play our song now", "Rate this book as awful"])
[Answer(intent='PlayMusic', confidence=0.998), Answer(intent='RateBook', confidence=0.999)]
"""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self, overload

import numpy as np

from intent_bert.config import LABEL_SEPARATOR, check_count
from intent_bert.errors import DataError, IntentBertError, ModelFolderError, SettingsError
from intent_bert.inference.engines import AUTO, ENGINE_FILES, KERAS, OPENVINO, Engine, OnnxEngine, choose_engine
from intent_bert.inference.explanation import Explanation, carrying_words
from intent_bert.inference.known_sentences import KnownSentences
from intent_bert.inference.self_test import run_self_test
from intent_bert.model.decision import Answer, Decision, Prediction, Predictions, is_wordless, rankings
from intent_bert.model.folder import CONFIG_FILE, LABELS_FILE, ONNX_FILE, ModelFolder
from intent_bert.model.multi_label import intents_of
from intent_bert.model.outputs import Outputs, only_logits

if TYPE_CHECKING:
    from intent_bert.data.labels import Label
    from intent_bert.inference.openvino_engine import OpenVinoEngine
    from intent_bert.model.saved import Artifact

logger = logging.getLogger("intent_bert")

CHUNK = 4096  # texts that are held as ids at a time, sorted by length among themselves


class IntentPredictor:
    """A trained model to be asked. Make one with ``IntentPredictor.load(folder)``.

    Of a text longer than the model's ``max_seq_len`` the beginning counts. A text without a word (empty, or white
    space) has no intent: its prediction is ``Answer(None, 0.0)`` and its probabilities are all alike.

    Attributes:
        engine: what computes: "onnx", "onnx-int8", "openvino" or "keras".
        classes: the intents, in the order of the probabilities.
        max_seq_len, tokenizer: how a text becomes ids.
        decision: how the network's outputs become predictions.
        multi_label: whether a text may have several intents, or none.
        label_separator: what joined the labels of a row in training.
        folder: where it was loaded from, as ``load`` was given it; None where it was not.
        fingerprint: the sha256 of the folder's ``config.json``, which names those of its files.
    """

    def __init__(self, model: "Artifact | ModelFolder", engine: Engine) -> None:
        self.classes, self.max_seq_len, self.tokenizer = model.classes, model.max_seq_len, model.tokenizer
        self.decision: Decision = model.decision
        self.multi_label = self.decision.multi_label
        self._engine, self.engine = engine, engine.name
        settings = model.config["settings"] if isinstance(model, ModelFolder) else model.settings
        self.label_separator = settings.get("label_separator", LABEL_SEPARATOR)
        self.fingerprint = ""
        self.folder: Path | None = None
        self._loaded_from: tuple | None = None  # what ``load`` needs to make it again
        self._opened: ModelFolder | None = None  # keeps the parts of a sealed file where the engine finds them
        self._warned_of_cut = False

    @classmethod
    def load(
        cls,
        folder: str | PathLike,
        batch_size: int = 64,
        engine: str = AUTO,
        threads: int | None = None,
        require_signature: str | PathLike | None = None,
        sentences: int = 1,
    ) -> Self:
        """Read a model folder, or a sealed file, which is verified and must pass its self-test.

        Args:
            folder: what ``train`` has written, or ``export_model(folder, "sealed")``.
            batch_size: sentences at a time on the engine "keras"; ONNX Runtime takes as many as fill a cache.
            engine: "onnx" (ONNX Runtime, float32), "onnx-int8" or "keras"; "auto" takes the first of these that the
                folder has. TensorFlow and Keras are imported for "keras" alone. "openvino" is the fastest for many
                sentences on a processor that computes in bfloat16.
            threads: cores that ONNX Runtime or OpenVINO uses; all that the process may use by default.
            require_signature: a file with a public key (PEM): the sealed file must be signed with its private key.
            sentences: about how many will be asked; for 2,000 and more "auto" takes "openvino" where it is installed
                and faster.

        Raises:
            ModelFolderError: the folder is missing, damaged, of a newer version, or has no file for this engine; the
                sealed file was changed, fails its self-test, or is not signed as required.
            SettingsError: an engine that isn't known, or whose package isn't installed; a number that can't be meant.
        """
        opened = ModelFolder(folder, require_signature)
        name = choose_engine(opened, engine, sentences)
        check_count("batch_size", batch_size)
        threads = None if threads is None else check_count("threads", threads)
        if name == KERAS:
            from intent_bert.model.keras_engine import KerasEngine
            from intent_bert.model.saved import load_artifact

            artifact = load_artifact(opened)
            predictor = cls(artifact, KerasEngine(artifact.model, batch_size))
        else:
            computes = _without_keras(opened, name, threads, may_fail=engine == AUTO)
            name = computes.name
            if computes.number_of_classes != len(opened.classes):
                file = ENGINE_FILES.get(name, ONNX_FILE)
                raise ModelFolderError(
                    f"{opened.path} is damaged: {LABELS_FILE} names {len(opened.classes)} intents, and "
                    f"{file} knows {computes.number_of_classes}; copy the whole folder again"
                )
            if opened.sealed:
                run_self_test(opened, computes)
            predictor = cls(opened, computes)
        predictor.fingerprint = opened.config["sha256"][CONFIG_FILE]
        predictor.folder = opened.path
        predictor._loaded_from = (opened.path.absolute(), batch_size, name, threads, require_signature)
        predictor._opened = opened
        return predictor

    def __reduce__(self) -> tuple:
        """Pickles as the folder's place and the arguments of ``load``; the folder must be there to unpickle it."""
        if self._loaded_from is None:
            raise SettingsError(
                "only a predictor from IntentPredictor.load(folder) can be pickled: save the model and load it"
            )
        return _loaded_again, (type(self), self._loaded_from, self.fingerprint)

    @overload
    def predict(self, texts: str | Iterable[str], top_k: None = None, *, reject: bool = False) -> list[Answer]: ...
    @overload
    def predict(self, texts: str | Iterable[str], top_k: int, *, reject: bool = False) -> list[list[Answer]]: ...
    def predict(
        self, texts: str | Iterable[str], top_k: int | None = None, *, reject: bool = False
    ) -> list[Answer] | list[list[Answer]]:
        """The intent of each text, in order; with ``top_k`` the k likeliest of each, the likeliest first.

        A single string counts as a list of one. With ``reject`` a text that is out of scope has the intent None, and
        keeps the confidence of the intent that it would have had; with ``top_k`` it has none at all. Of a multi-label
        model the intent is the likeliest of those that ``predict_intents`` gives, None with confidence 0 where it gives
        none. Memory does not grow with the number of texts beyond the predictions.

        Raises:
            SettingsError: ``reject``, and the model can't tell which texts are in scope.
        """
        k = self.checked_top_k(top_k)
        if reject:
            self.check_threshold()
        answers: list[Answer] = []
        rankings: list[list[Answer]] = []
        for chunk in _chunks(texts):
            found = self.described(chunk, k, reject, scope=reject)
            if top_k is None:
                answers += [each.answer for each in found]
            else:
                rankings += [[] if reject and not each.in_scope else each.ranking[:k] for each in found]
        return answers if top_k is None else rankings

    def predict_intents(self, texts: str | Iterable[str]) -> list[list[Answer]]:
        """All intents of each text, in order, the likeliest first; none where no intent fits.

        A model that was trained with ``multi_label`` gives each intent whose probability reaches its threshold; any
        other gives one intent, or none for a text without a word in it.
        """
        return [each.intents for chunk in _chunks(texts) for each in self.described(chunk, 1, scope=False)]

    def in_scope_score(self, texts: str | Iterable[str]) -> np.ndarray:
        """How much each text is one of those that the intents are made for: float32 (texts,), higher is more.

        NaN where the model was saved without what tells it.
        """
        parts = [self.predictions(chunk).scores for chunk in _chunks(texts)]
        return np.concatenate(parts) if parts else np.zeros(0, "float32")

    def in_scope(self, texts: str | Iterable[str]) -> np.ndarray:
        """Which texts are in scope: those whose score reaches the model's threshold, bool (texts,).

        Raises:
            SettingsError: the model can't tell.
        """
        self.check_threshold()
        return self.in_scope_score(texts) >= self.decision.threshold

    def described(self, texts: Sequence[str], top_k: int, reject: bool = False, scope: bool = True) -> list[Prediction]:
        """All that is known of each text, with the k likeliest intents; of several intents all, however small k is.

        With ``reject`` a text out of scope has no intent. Without ``scope`` it is not looked at, which saves time.
        """
        return self.describe(self.predictions(texts, scope), top_k, reject)

    def describe(self, predictions: Predictions, top_k: int, reject: bool = False) -> list[Prediction]:
        """As ``described``, of what ``predictions`` gave."""
        if self.multi_label:
            rows = zip(predictions.probabilities, self.decision.chosen(predictions), strict=True)
            ranked = [intents_of(row, chosen, self.classes, top_k) for row, chosen in rows]
        else:
            ranked = [(each, each[:1]) for each in rankings(predictions, self.classes, top_k)]
        threshold = self.decision.threshold
        return [
            _described(*each, score, threshold, reject)
            for each, score in zip(ranked, predictions.scores.tolist(), strict=True)
        ]

    def predict_proba(self, texts: str | Iterable[str]) -> np.ndarray:
        """Probabilities, float32 (texts, intents), columns in the order of ``classes``."""
        parts = [self.predictions(chunk, scope=False).probabilities for chunk in _chunks(texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), "float32")

    def predictions(self, texts: Sequence[str], scope: bool = True) -> Predictions:
        """Probabilities, float32 (N, C), and the predicted intents' numbers (N,) among ``classes``, -1 for none.

        ``decision.chosen`` says of them which intents each text has, bool (N, C). Without ``scope`` a model with one
        intent a sentence gives no scores, in less time.
        """
        if scope:
            return self.decision.predictions(*self.computed(texts))
        ids = self._encode(texts)
        return self.decision.predictions(only_logits(self._engine.logits(ids)), is_wordless(ids))

    def outputs(self, texts: Sequence[str]) -> Outputs:
        """What lies beneath the probabilities: logits (N, C) and the sentences' vectors (N, F), float32."""
        return self.ids_and_outputs(texts)[1]

    def computed(self, texts: Sequence[str]) -> tuple[Outputs, np.ndarray]:
        """The outputs, and which texts have no word in them, bool (N,): all that a decision takes."""
        ids, outputs = self.ids_and_outputs(texts)
        return outputs, is_wordless(ids)

    def ids_and_outputs(self, texts: Sequence[str]) -> tuple[list[list[int]], Outputs]:
        """The ids of texts, [CLS] and [SEP] among them, and the outputs."""
        ids = self._encode(texts)
        return ids, self._engine.outputs(ids)

    def explain(self, text: str, known: KnownSentences | None = None) -> Explanation:
        """Why one text has its prediction: its words, and the nearest of the sentences that are given.

        Args:
            text: the text.
            known: sentences to compare it with, such as those of training, from ``known_sentences``; a model folder
                keeps none.
        """
        if not isinstance(text, str):
            raise DataError(f"explain takes one text, not {type(text).__name__}: use explain_all for several")
        return self.explain_all([text], known)[0]

    def explain_all(self, texts: str | Iterable[str], known: KnownSentences | None = None) -> list[Explanation]:
        """As ``explain``, for several texts, in order."""
        found: list[Explanation] = []
        for chunk in _chunks(texts):
            intents = carrying_words(chunk, self.predictions, self.decision, self.classes, self.max_seq_len)
            nearest = [None] * len(chunk) if known is None else known.nearest(self.outputs(chunk).vectors)
            found += [Explanation(*each) for each in zip(chunk, intents, nearest, strict=True)]
        return found

    def known_sentences(self, texts: Iterable[str], labels: Sequence["Label"]) -> KnownSentences:
        """Labelled sentences, such as those of training, that ``explain`` finds the nearest of.

        Raises:
            DataError: no sentence, or not as many labels.
            SettingsError: the model gives no vectors to compare by.
        """
        sentences, parts = [], []
        for chunk in _chunks(texts):
            sentences += chunk
            parts.append(self.outputs(chunk).vectors)
        vectors = np.concatenate(parts) if parts else np.zeros((0, 0), "float32")
        return KnownSentences.of(sentences, list(labels), vectors)

    def predict_one(self, text: str) -> Answer:
        """The intent of one text."""
        if not isinstance(text, str):
            raise DataError(f"predict_one takes one text, not {type(text).__name__}: use predict for several")
        return self.predict([text])[0]

    def checked_top_k(self, top_k: int | None) -> int:
        """How many intents to name: at most as many as there are, by default one.

        Raises:
            SettingsError: it is below 1.
        """
        return min(1 if top_k is None else check_count("top_k", top_k), len(self.classes))

    def check_threshold(self) -> None:
        """Raise SettingsError where the model can't tell which texts are in scope."""
        self.decision.check_threshold(self.folder)

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids, cut = self.tokenizer.encode(texts, self.max_seq_len)
        if cut and not self._warned_of_cut:
            self._warned_of_cut = True
            logger.warning(
                "of a text longer than %d tokens the beginning counts (this warning comes once)", self.max_seq_len
            )
        return ids


def _described(
    ranked: list[Answer], intents: list[Answer], score: float, threshold: float | None, reject: bool
) -> Prediction:
    in_scope = None if threshold is None or math.isnan(score) else score >= threshold
    answer = intents[0] if intents else Answer(None, 0.0)
    if reject and not in_scope:
        answer, intents = Answer(None, answer.confidence), []
    return Prediction(answer, ranked, intents, in_scope, None if math.isnan(score) else score)


def _without_keras(
    folder: ModelFolder, name: str, threads: int | None, may_fail: bool
) -> "OnnxEngine | OpenVinoEngine":
    """The engine of this name, or ONNX Runtime where OpenVINO can't be had and ``may_fail``."""
    if name != OPENVINO:
        return OnnxEngine(folder.file(ENGINE_FILES[name]), name, threads)
    from intent_bert.inference.openvino_engine import OpenVinoEngine

    if not may_fail:
        return OpenVinoEngine(folder, threads)
    try:
        engine = OpenVinoEngine(folder, threads)
    except IntentBertError as error:
        logger.warning("predictions come from ONNX Runtime, for %s", error)
        return OnnxEngine(folder.file(ONNX_FILE), threads=threads)
    logger.info("OpenVINO computes, in bfloat16 (the engine onnx is slower, and computes in float32)")
    return engine


def _loaded_again(kind: type[IntentPredictor], loaded_from: tuple, fingerprint: str) -> IntentPredictor:
    """A predictor from its pickle: the same model, or none."""
    predictor = kind.load(*loaded_from)
    if predictor.fingerprint != fingerprint:
        raise ModelFolderError(f"{loaded_from[0]} has changed since the predictor was pickled: load it anew")
    return predictor


def _chunks(texts: str | Iterable[str]) -> Iterator[list[str]]:
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | Mapping):
        raise DataError(f"expected a text or a list of texts, got {type(texts).__name__}")
    iterator = iter([texts] if isinstance(texts, str) else texts)
    position = 0
    while chunk := list(islice(iterator, CHUNK)):
        for offset, text in enumerate(chunk):
            if not isinstance(text, str):
                raise DataError(f"expected texts, found {text!r} at position {position + offset}")
        position += len(chunk)
        yield chunk
