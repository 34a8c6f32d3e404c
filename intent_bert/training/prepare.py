"""All that a fit needs: the sentences encoded, every setting resolved, the model made. Each of it once."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import keras
import numpy as np
import pandas as pd

from intent_bert.bert.checkpoint import check_checkpoint_folder
from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt
from intent_bert.bert.pretrained import resolve
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.config import INTENT, TEXT, TrainingConfig
from intent_bert.data.batches import encode
from intent_bert.data.label_names import with_label_names
from intent_bert.data.label_sets import LabelSet, all_labels
from intent_bert.data.labels import Label, class_weights, classes_of, label_ids
from intent_bert.data.mixing import mixed_tables
from intent_bert.machine import divide_the_cores, keep_freed_memory, precision_here, strategy_here
from intent_bert.model.network import pretrained_model

logger = logging.getLogger("intent_bert")

POLICIES = {"bfloat16": "mixed_bfloat16"}  # of precisions whose Keras policy has another name


@dataclass
class Sentences:
    """Encoded sentences with their labels: what the fit and the evaluation read."""

    texts: list[str]
    labels: list[Label] | list[LabelSet]
    ids: Sequence[np.ndarray]

    @classmethod
    def of(cls, table: pd.DataFrame, tokenizer: FullTokenizer, max_seq_len: int) -> Self:
        texts = list(table[TEXT])
        return cls(texts, list(table[INTENT]), encode(texts, tokenizer, max_seq_len))

    def take(self, rows: np.ndarray) -> Self:
        """Some of them, in this order."""
        return type(self)(
            [self.texts[row] for row in rows], [self.labels[row] for row in rows], [self.ids[row] for row in rows]
        )

    def numbers(self, classes: Sequence[Label]) -> np.ndarray:
        """Of each sentence's label among the classes, int32 (N,), -1 where it is not there; not for label sets."""
        return label_ids(self.labels, classes)  # type: ignore[arg-type]


@dataclass
class Prepared:
    """A run before its first step.

    Attributes:
        config: the settings, resolved.
        encoder, tokenizer: those of the pretrained checkpoint.
        classes: the intents, sorted.
        splits: "train", and "validation" and "test" where there are any.
        strategy: a ``tf.distribute`` strategy.
        micro_batches: into how many micro-batches each batch is cut, one for each core.
        model: the classifier with the checkpoint's weights, in the precision of the training; a fit changes it.
    """

    config: TrainingConfig
    encoder: BertConfig
    tokenizer: FullTokenizer
    classes: list[Label]
    splits: dict[str, Sentences]
    strategy: Any
    micro_batches: int
    model: keras.Model
    started: float = field(default_factory=time.perf_counter)

    @property
    def weight_bytes(self) -> int:
        """About how many bytes the encoder's weights take."""
        encoder = self.encoder
        return 4 * (encoder.vocab_size * encoder.hidden_size + encoder.num_layers * 12 * encoder.hidden_size**2)

    def settings(self) -> dict[str, Any]:
        """The resolved settings, as they are saved."""
        return asdict(self.config)


def prepare(config: TrainingConfig, tables: dict[str, pd.DataFrame], strategy: Any = None) -> Prepared:
    """Read the checkpoint, encode the tables, resolve the settings and make the model.

    Args:
        config: every setting of the run.
        tables: checked tables, "train" and maybe "validation" and "test".
        strategy: how the work is shared out; by default over all GPUs of the machine where there are several.

    Raises:
        SettingsError: a setting does not fit the checkpoint or the labels.
        CheckpointError: the checkpoint is not whole.
        DownloadError: it could not be fetched.
    """
    started = time.perf_counter()
    tables = mixed_tables(tables, config)
    if config.label_names:
        tables = {**tables, "train": with_label_names(tables["train"])}
    strategy = strategy or strategy_here()
    micro_batches = _micro_batches(config, strategy)  # before fetching a checkpoint starts TensorFlow
    classes = classes_of(all_labels(tables["train"][INTENT]))
    class_weights(list(tables["train"][INTENT]), classes, config.class_weight)  # told before anything slow
    checkpoint = check_checkpoint_folder(resolve(config.checkpoint))
    encoder = params_from_pretrained_ckpt(checkpoint)
    config = config.resolved(encoder, len(tables["train"]), len(classes))
    config = replace(config, precision=precision_here(config.precision))
    tokenizer = FullTokenizer(checkpoint / VOCAB_FILE, config.do_lower_case)
    assert config.max_seq_len is not None  # it is resolved
    splits = {name: Sentences.of(table, tokenizer, config.max_seq_len) for name, table in tables.items()}
    logger.info("%s; %d intents", ", ".join(f"{len(t)} {name}" for name, t in tables.items()), len(classes))
    keras.utils.set_random_seed(config.seed)
    policy = POLICIES.get(config.precision, config.precision)
    with strategy.scope():
        model = pretrained_model(checkpoint, encoder, classes, config.architecture, config.train_layers, policy)
    return Prepared(config, encoder, tokenizer, classes, splits, strategy, micro_batches, model, started)


def _micro_batches(config: TrainingConfig, strategy: Any) -> int:
    keep_freed_memory()
    alone = strategy.num_replicas_in_sync == 1 and config.train_layers == "all"
    return divide_the_cores() if alone else 1
