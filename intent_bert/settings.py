"""The settings of a training run: each with its one default, and the recipes that change several at once."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from intent_bert.bert.pretrained import DEFAULT_CHECKPOINT
from intent_bert.errors import SettingsError

TEXT, INTENT = "text", "intent"  # the columns of a table
DEFAULT_MAX_SEQ_LEN = 192
DEFAULT_DROPOUT = 0.5
LEARNING_RATE_TIMES_WIDTH = 0.0384  # narrow encoders take, and small tables need, larger steps
POOLINGS = ("cls", "mean", "max", "sum_last_four", "mean_last_four", "concat_last_four")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "tutorial": {
        "epochs": 5,
        "batch_size": 16,
        "learning_rate": 1e-5,
        "warmup": 0.0,
        "decay": False,
        "weight_decay": 0.0,
        "validation_split": 0.1,
    },
}


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class TrainingConfig:
    """Every setting of a training run; ``from_recipe`` starts from a named set of them."""

    data: str | None = _setting(None, "a known data set (intent-bert datasets) or a folder with train/valid/test files")
    train_file: str | None = _setting(None, "a table to train on, in place of --data (csv, tsv, jsonl, parquet)")
    validation_file: str | None = _setting(None, "a table to choose the best epoch on")
    test_file: str | None = _setting(None, "a table to report on at the end")
    text_column: str = _setting(TEXT, "the column with the sentences")
    label_column: str = _setting(INTENT, "the column with the intents")
    checkpoint: str = _setting(DEFAULT_CHECKPOINT, "a known checkpoint (intent-bert checkpoints), a folder or a prefix")
    do_lower_case: bool | None = _setting(None, "lower-case the text (default: as the checkpoint says, else yes)")
    epochs: int = _setting(3, "how often every sentence is seen")
    batch_size: int = _setting(32, "sentences in a step")
    learning_rate: float | None = _setting(
        None, "Adam's highest step size (default: 0.0384 / hidden_size: 1e-4 for all-MiniLM-L6-v2, 5e-5 for BERT-base)"
    )
    warmup: float = _setting(0.1, "share of the steps in which the learning rate rises from 0")
    decay: bool = _setting(True, "let the learning rate fall to 0 in a straight line")
    weight_decay: float = _setting(0.01, "decoupled weight decay of the kernels (not of biases, LayerNorm, embeddings)")
    dropout: float = _setting(DEFAULT_DROPOUT, "dropout before and after the dense layer")
    pooling: str = _setting("cls", "how hidden states become one vector")
    adapter_size: int | None = _setting(None, "train adapters of this width and freeze the encoder")
    max_seq_len: int = _setting(DEFAULT_MAX_SEQ_LEN, "longer sentences are cut to this many tokens")
    validation_split: float = _setting(0.1, "share of train held out when there is no validation table")
    seed: int = _setting(0, "for the split, the order of sentences, dropout and new weights")
    precision: str = _setting("float32", "Keras dtype policy: float32, mixed_bfloat16 or mixed_float16")
    strict: bool = _setting(False, "turn warnings about the data into errors")
    resume: bool = _setting(False, "go on with a run with these settings that was killed")
    output_dir: str = _setting("runs/model", "the model folder to write")
    log_dir: str | None = _setting(None, "TensorBoard logs (default: OUTPUT_DIR/logs)")

    @classmethod
    def from_recipe(cls, recipe: str, **settings: Any) -> Self:
        """The settings of a recipe ("default", "tutorial"), changed by ``settings``."""
        if recipe not in RECIPES:
            raise SettingsError(f"unknown recipe {recipe!r}: expected one of {', '.join(RECIPES)}")
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise SettingsError(f"unknown setting {', '.join(unknown)}: expected some of {', '.join(sorted(known))}")
        config = cls(**{**RECIPES[recipe], **settings})
        config.validate()
        return config

    def validate(self) -> None:
        """Raise SettingsError for a number that can't be meant."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise SettingsError(f"learning_rate must be above 0 and below 1, not {self.learning_rate}")
        for name in ("warmup", "dropout", "validation_split", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.adapter_size is not None and self.adapter_size < 1:
            raise SettingsError(f"adapter_size must be at least 1, not {self.adapter_size}")
        if not 0 <= self.seed < 2**32:
            raise SettingsError(f"seed must be 0 to {2**32 - 1}, not {self.seed}")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"unknown precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}")
        check_pooling(self.pooling)

    def for_width(self, hidden_size: int) -> Self:
        """The settings with a learning rate: the given one, else one that suits an encoder of this width."""
        suited = float(f"{LEARNING_RATE_TIMES_WIDTH / hidden_size:.3g}")
        return replace(self, learning_rate=self.learning_rate or suited)


def check_pooling(pooling: str) -> None:
    """Raise SettingsError for a pooling that isn't one of ``POOLINGS``."""
    if pooling not in POOLINGS:
        raise SettingsError(f"unknown pooling {pooling!r}: expected one of {', '.join(POOLINGS)}")
