"""The fit: a compiled loop over length-bucketed batches that keeps the weights of its best epoch.

    fit(prepare(config, tables))  ->  FitResult      for ``train``, ``IntentClassifier`` and the benchmarks alike

The model that is fitted ends in the logits; it shares its layers with the one that comes back. Nothing here writes a
model folder.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import keras
import numpy as np
import pandas as pd

from intent_bert.bert.micro_batches import micro_batched
from intent_bert.config import LABEL_SEPARATOR, TrainingConfig
from intent_bert.data.batches import bucketed_batches, pad
from intent_bert.data.labels import Label
from intent_bert.evaluation.multi_label import AnyEvaluation, evaluate_predictions
from intent_bert.model.decision import Decision, is_wordless
from intent_bert.model.keras_engine import compiled, predict_in_batches, quiet_about_tracing
from intent_bert.model.network import logits_model
from intent_bert.model.outputs import Outputs
from intent_bert.model.saved import Artifact
from intent_bert.training.callbacks import EpochReport, KeepBest, ProgressBar
from intent_bert.training.frozen import CachedActivations, CutModel
from intent_bert.training.objective import fitted_decision, objective_of, start_at_class_means, start_at_label_shares
from intent_bert.training.optimizer import adamw
from intent_bert.training.prepare import Prepared, Sentences
from intent_bert.training.resume import UnfinishedRun

logger = logging.getLogger("intent_bert")


@dataclass
class FitResult:
    """A fitted model.

    Attributes:
        model: what ``create_model`` gives, with the weights of the best epoch, in the precision of the training.
        history: a row an epoch: loss, accuracy, macro_f1, and the same with ``val_`` where there is a validation table.
        best_epoch: counted from 1.
        interrupted: whether Ctrl-C ended it.
    """

    model: keras.Model
    history: pd.DataFrame
    best_epoch: int
    interrupted: bool


def fit(
    prepared: Prepared,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    report: EpochReport | None = None,
    unfinished: UnfinishedRun | None = None,
    verbose: int = 1,
) -> FitResult:
    """Fine-tune the prepared model as its settings say; the other arguments are those of ``fine_tune``."""
    with prepared.strategy.scope():
        if prepared.config.multi_label:
            start_at_label_shares(prepared.model, prepared.splits["train"], prepared.classes)
        elif prepared.config.head == "cosine":
            start_at_class_means(prepared.model, prepared.splits["train"], prepared.classes, prepared.config.seed)
        return fine_tune(
            prepared.model,
            prepared.splits["train"],
            prepared.splits.get("validation"),
            prepared.classes,
            prepared.config,
            micro_batches=prepared.micro_batches,
            callbacks=callbacks,
            report=report,
            unfinished=unfinished,
            verbose=verbose,
        )


def trained_artifact(prepared: Prepared, result: FitResult, **facts: Any) -> Artifact:
    """What a fit has made, with its resolved settings and further facts of the run."""
    settings = {**prepared.settings(), "interrupted": result.interrupted, **facts}
    architecture = prepared.config.architecture
    artifact = Artifact.trained(result.model, prepared.tokenizer, prepared.classes, architecture, settings)
    if architecture.multi_label:
        artifact.decision = fitted_decision(artifact, prepared)
    return artifact


@quiet_about_tracing()
def fine_tune(
    model: keras.Model,
    train: Sentences,
    validation: Sentences | None,
    classes: Sequence[Label],
    config: TrainingConfig,
    *,
    micro_batches: int = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    report: EpochReport | None = None,
    unfinished: UnfinishedRun | None = None,
    verbose: int = 1,
) -> FitResult:
    """Fit a model; afterwards it has the weights of its best epoch.

    Where the lower layers are frozen (``train_layers``), their activations are computed once and only the layers above
    are run in each epoch. Ctrl-C ends the fit and the best epoch so far is kept; before the first one is done, the
    interrupt goes on. A model made in the scope of a ``tf.distribute`` strategy is fitted by it: each replica takes its
    share of a batch.

    Args:
        model: what ``create_model`` gives.
        train, validation: encoded sentences.
        classes: the intents, in the order of the model's outputs.
        config: resolved settings.
        micro_batches: into how many micro-batches each batch is cut, one for each core.
        callbacks: Keras callbacks; their ``model`` is the one that is fitted, which ends in the logits.
        report: called after each epoch with its number from 0, its logs and the evaluation of ``validation``.
        unfinished: keeps the state after each epoch; with ``config.resume`` the fit goes on from there.
        verbose: 1 shows a bar for each epoch on stderr.
    """
    epochs, models = config.epochs or 0, config.models
    steps = -(-len(train.ids) // config.batch_size)
    fitted = _Fitted.of(model, micro_batches, "frozen layers" if verbose else None)
    inputs = fitted.inputs_of(train)
    compile_model(fitted.model, config, steps * epochs)
    decision = objective_of(config).decision(len(classes))
    evaluate_epoch = None if validation is None else fitted.evaluator(validation, classes, decision)
    keeper = KeepBest(evaluate_epoch, report, unfinished, models, epochs)
    keeper.set_model(fitted.model)
    keeper.first_weights = fitted.model.get_weights() if models > 1 else []
    if unfinished is not None and config.resume:
        keeper.progress, keeper.best_weights = unfinished.load(fitted.model)
    done = len(keeper.progress.rows)
    bars = [ProgressBar(models * epochs, steps)] if verbose else []
    interrupted = False
    try:
        fitted.model.fit(
            _batches(fitted.model, inputs, classes, config, first_epoch=done),
            initial_epoch=done,
            epochs=models * epochs,
            steps_per_epoch=steps,
            shuffle=False,  # _batches shuffles
            verbose=0,
            callbacks=[keeper, *callbacks, *bars],
        )
    except KeyboardInterrupt:
        interrupted = True
        _end_interrupted(keeper, bars)
    keeper.restore()
    rows = keeper.progress.rows
    history = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="epoch"))
    return FitResult(model, history, keeper.progress.best_epoch + 1, interrupted)


def _end_interrupted(keeper: KeepBest, bars: Sequence[ProgressBar]) -> None:
    """Say what an interrupt leaves; with nothing to keep it goes on."""
    for bar in bars:
        if bar.bar is not None:
            bar.bar.close()
    if not keeper.best_weights:
        logger.warning("interrupted before the first epoch was done: there is nothing to keep")
        raise KeyboardInterrupt
    best = keeper.progress.best_epoch + 1
    done = best // keeper.epochs if keeper.models > 1 and best % keeper.epochs == 0 else 0
    kept = f"the mean of the {done} models that are done" if done > 1 else f"those of epoch {best}"
    logger.warning("interrupted: training stops here, the weights are %s", kept)


def evaluate(
    outputs: Outputs,
    sentences: Sentences,
    classes: Sequence[Label],
    decision: Decision | None = None,
    separator: str = LABEL_SEPARATOR,
    unknown_label: str | None = None,
) -> AnyEvaluation:
    """The metrics of encoded sentences for which a model gave these outputs; ``separator`` joins labels in mistakes."""
    decision = decision or Decision()
    predictions = decision.predictions(outputs, is_wordless(sentences.ids))
    return evaluate_predictions(
        decision, sentences.texts, sentences.labels, predictions, classes, separator, unknown_label
    )


def compile_model(model: keras.Model, config: TrainingConfig, steps: int) -> None:
    """Compile a model that ends in logits with the recipe's optimizer for a fit of ``steps`` steps in all."""
    assert config.learning_rate is not None  # it is resolved
    optimizer = adamw(
        config.learning_rate,
        steps,
        warmup=config.warmup,
        decay=config.decay,
        weight_decay=config.weight_decay,
        head_learning_rate_multiplier=config.head_learning_rate_multiplier or 1.0,
    )
    objective = objective_of(config)
    optimizer.build(model.trainable_variables)  # left to fit, it has the training step traced twice
    model.compile(
        optimizer=optimizer,
        loss=objective.loss(),
        metrics=objective.metrics(model.output_shape[-1]),
        jit_compile=False,  # XLA would compile anew for every length of a batch
    )


@dataclass
class _Fitted:
    """The model that is run in each step, ending in logits: the whole, or what lies above the frozen layers."""

    model: keras.Model
    cut: CutModel | None
    progress: str | None

    @classmethod
    def of(cls, model: keras.Model, micro_batches: int, progress: str | None) -> "_Fitted":
        whole = logits_model(model)
        if model.get_layer("bert").train_layers is not None:
            cut = CutModel(whole)
            return cls(cut.top, cut, progress)
        return cls(micro_batched(whole, micro_batches), None, progress)

    def inputs_of(self, sentences: Sentences) -> "_Inputs":
        """What the model reads of these sentences; frozen layers are run for them, once."""
        return _Inputs(sentences, self.cut.activations(sentences.ids, self.progress) if self.cut else None)

    def evaluator(
        self, sentences: Sentences, classes: Sequence[Label], decision: Decision
    ) -> Callable[[], AnyEvaluation]:
        """A function that evaluates these sentences with the weights as they are."""
        inputs, predict = self.inputs_of(sentences), compiled(self.model)
        nothing = np.empty((len(sentences.ids), 0), "float32")

        def evaluated() -> AnyEvaluation:
            logits = predict_in_batches(predict, sentences.ids, len(classes), inputs=inputs.batch)
            return evaluate(Outputs(logits, nothing, nothing), sentences, classes, decision)

        return evaluated


@dataclass
class _Inputs:
    """Batches of sentences as the fitted model reads them: padded ids (B, T), or the frozen layers' activations."""

    sentences: Sentences
    activations: CachedActivations | None = None

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        if self.activations is not None:
            return self.activations.batch(rows)
        return (pad([self.sentences.ids[row] for row in rows]),)


def _batches(
    model: keras.Model,
    training: "_Inputs",
    classes: Sequence[Label],
    config: TrainingConfig,
    first_epoch: int,
) -> Any:
    """An endless tf.data pipeline of (inputs, targets, weights if any); seed and epoch fix each pass's order."""
    import tensorflow as tf

    train = training.sentences
    objective = objective_of(config)
    targets = objective.targets(train.labels, classes)
    weights = objective.weights(train.labels, classes, config)
    several = len(model.inputs) > 1
    replicas = model.distribute_strategy.num_replicas_in_sync
    if weights is None and replicas > 1:
        weights = np.ones(len(targets), "float32")

    def passes() -> Iterator[tuple]:
        for epoch in count(first_epoch):
            for rows in bucketed_batches(train.ids, config.batch_size, np.random.default_rng([config.seed, epoch])):
                shared, share = _shared_out(rows, replicas)
                inputs = training.batch(shared)
                weight = () if weights is None else (weights[shared] * share,)
                yield (inputs if several else inputs[0], targets[shared], *weight)

    inputs = tuple(tf.TensorSpec(each.shape, each.dtype) for each in model.inputs)
    signature: tuple = (inputs if several else inputs[0], tf.TensorSpec((None, *targets.shape[1:]), targets.dtype))
    if weights is not None:
        signature += (tf.TensorSpec((None,), tf.float32),)
    return tf.data.Dataset.from_generator(passes, output_signature=signature).prefetch(4)


def _shared_out(rows: np.ndarray, replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows as many for each replica, and how much each counts, so that the replicas' mean loss is the batch's.

    What is missing is filled up with the last row, which then counts nothing.
    """
    missing = -len(rows) % replicas
    share = np.full(len(rows), (len(rows) + missing) / len(rows), "float32")
    return np.append(rows, np.repeat(rows[-1:], missing)), np.append(share, np.zeros(missing, "float32"))
