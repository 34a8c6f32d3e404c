"""The shape of a BERT encoder, and how Google's and Hugging Face's files write it down.

    bert_config.json (Google) ─┐
                               ├─> StockBertConfig ──map_stock_config_to_params──> BertConfig ──> BertModelLayer
    config.json (Hugging Face)─┘

``StockBertConfig`` has the file's field names, ``BertConfig`` those of bert-for-tf2's layer parameters. They
differ in nothing else but this: the word "gelu" means Google's tanh formula in a ``bert_config.json`` and the exact
erf formula in a ``config.json`` (the outputs differ by about 1e-3). ``gelu_approximate`` keeps which one it was;
a ``bert_config.json`` may hold that key too, as those we convert from Hugging Face's layout do.
"""

import json
import logging
from dataclasses import asdict, dataclass, fields
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, Self

from intent_bert.errors import CheckpointError, SettingsError

logger = logging.getLogger("intent_bert")

SHORTEST = 3  # tokens of a sentence: [CLS], a token and [SEP]
STOCK_CONFIG_FILE = "bert_config.json"
HUGGINGFACE_CONFIG_FILE = "config.json"
ACTIVATIONS = ("gelu", "relu", "tanh", "linear")
_TANH_GELUS = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_approx")  # Hugging Face's names for the tanh form


@dataclass
class BertConfig:
    """Everything a ``BertModelLayer`` needs to know; ``params`` in bert-for-tf2's words.

    ``adapter_size`` adds Houlsby adapters (arXiv:1902.00751) of that width, ``out_layer_ndxs`` asks for the
    outputs of these encoder layers (negative ones count from the end) in place of the last one's.
    """

    vocab_size: int
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    intermediate_size: int = 3072
    intermediate_activation: str = "gelu"
    gelu_approximate: bool = True
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    max_position_embeddings: int = 512
    token_type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_epsilon: float = 1e-12
    adapter_size: int | None = None
    adapter_activation: str = "gelu"
    adapter_init_scale: float = 1e-3
    out_layer_ndxs: list[int] | None = None

    def validate(self) -> None:
        """Raise CheckpointError where the numbers can't make an encoder."""
        positive = ("vocab_size", "hidden_size", "num_layers", "num_heads", "intermediate_size")
        for name in (*positive, "max_position_embeddings", "token_type_vocab_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise CheckpointError(f"{name} must be a whole number above 0, not {value!r}")
        if self.hidden_size % self.num_heads:
            raise CheckpointError(
                f"hidden_size {self.hidden_size} must be a multiple of the number of attention heads, {self.num_heads}"
            )
        if self.adapter_size is not None and (not isinstance(self.adapter_size, int) or self.adapter_size < 1):
            raise CheckpointError(f"adapter_size must be a whole number above 0 or None, not {self.adapter_size!r}")
        for name in ("hidden_dropout", "attention_dropout", "layer_norm_epsilon", "initializer_range"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise CheckpointError(f"{name} must be a number from 0 to below 1, not {value!r}")
        for name in ("intermediate_activation", "adapter_activation"):
            if getattr(self, name) not in ACTIVATIONS:
                raise CheckpointError(f"{name} must be one of {', '.join(ACTIVATIONS)}, not {getattr(self, name)!r}")
        for index in self.out_layer_ndxs or []:
            if not -self.num_layers <= index < self.num_layers:
                raise CheckpointError(
                    f"out_layer_ndxs holds {index}, but the encoder has {self.num_layers} layers "
                    f"(0 to {self.num_layers - 1}, or -{self.num_layers} to -1)"
                )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise CheckpointError(f"unknown BERT setting {', '.join(unknown)}")
        if "vocab_size" not in values:
            raise CheckpointError("the BERT config lacks vocab_size")
        return cls(**values)


@dataclass
class StockBertConfig:
    """The fields of Google's ``bert_config.json``, as they are named there."""

    vocab_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    gelu_approximate: bool = True
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12

    @classmethod
    def from_json_string(cls, text: str) -> Self:
        """Read the text of a ``bert_config.json``; keys that do not bear on the encoder are passed over.

        Raises:
            CheckpointError: not a JSON object, no ``vocab_size``, or the config of another kind of model.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise CheckpointError(f"the BERT config is not valid JSON: {error}") from None
        except RecursionError:
            raise CheckpointError(
                "the BERT config is nested too deep: expected an object of numbers and texts"
            ) from None
        if not isinstance(values, dict) or "vocab_size" not in values:
            raise CheckpointError("the BERT config must be a JSON object with at least a vocab_size")
        for key in ("embedding_size", "ln_type"):
            if values.get(key) is not None:
                raise CheckpointError(f"the config has {key}, so this is ALBERT: only BERT checkpoints can be loaded")
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    @classmethod
    def from_json_file(cls, path: str | PathLike) -> Self:
        return cls.from_json_string(_read_text(Path(path)))

    @classmethod
    def from_huggingface_json(cls, text: str) -> Self:
        """Read the text of a Hugging Face ``config.json`` of ``model_type`` bert."""
        config = cls.from_json_string(text)
        values = json.loads(text)
        kind = values.get("model_type", "bert")
        if kind != "bert":
            raise CheckpointError(f"config.json says model_type {kind!r}: only bert checkpoints can be loaded")
        if values.get("position_embedding_type", "absolute") != "absolute":
            raise CheckpointError(
                f"config.json says position_embedding_type {values['position_embedding_type']!r}: "
                "only absolute positions can be loaded"
            )
        config.gelu_approximate = config.hidden_act in _TANH_GELUS
        if config.gelu_approximate:
            config.hidden_act = "gelu"
        return config

    def to_json_string(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def to_huggingface_json(self) -> str:
        values = asdict(self)
        tanh_gelu = values.pop("gelu_approximate") and self.hidden_act == "gelu"
        values["hidden_act"] = "gelu_pytorch_tanh" if tanh_gelu else self.hidden_act
        values |= {"architectures": ["BertModel"], "model_type": "bert", "pad_token_id": 0}
        return json.dumps(values, indent=2, sort_keys=True) + "\n"


def map_stock_config_to_params(config: StockBertConfig) -> BertConfig:
    """The parameters of the ``BertModelLayer`` that a stock config describes."""
    params = BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        intermediate_activation=config.hidden_act,
        gelu_approximate=config.gelu_approximate,
        hidden_dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        max_position_embeddings=config.max_position_embeddings,
        token_type_vocab_size=config.type_vocab_size,
        initializer_range=config.initializer_range,
        layer_norm_epsilon=config.layer_norm_eps,
    )
    params.validate()
    return params


def stock_config_of(params: BertConfig) -> StockBertConfig:
    """The stock config of an encoder with these parameters; adapters are no part of it."""
    return StockBertConfig(
        vocab_size=params.vocab_size,
        hidden_size=params.hidden_size,
        num_hidden_layers=params.num_layers,
        num_attention_heads=params.num_heads,
        intermediate_size=params.intermediate_size,
        hidden_act=params.intermediate_activation,
        gelu_approximate=params.gelu_approximate,
        hidden_dropout_prob=params.hidden_dropout,
        attention_probs_dropout_prob=params.attention_dropout,
        max_position_embeddings=params.max_position_embeddings,
        type_vocab_size=params.token_type_vocab_size,
        initializer_range=params.initializer_range,
        layer_norm_eps=params.layer_norm_epsilon,
    )


def read_stock_config(folder: str | PathLike) -> StockBertConfig:
    """The config of a checkpoint folder in Google's or Hugging Face's layout (Google's first)."""
    folder = Path(folder)
    stock, huggingface = folder / STOCK_CONFIG_FILE, folder / HUGGINGFACE_CONFIG_FILE
    try:
        if stock.is_file():
            return StockBertConfig.from_json_file(stock)
        if huggingface.is_file():
            _refuse_model_folder(_read_text(huggingface))
            return StockBertConfig.from_huggingface_json(_read_text(huggingface))
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    raise CheckpointError(
        f"{folder} is no checkpoint folder: it has neither {STOCK_CONFIG_FILE} nor {HUGGINGFACE_CONFIG_FILE}"
    )


def _refuse_model_folder(text: str) -> None:
    """Say of a trained model's ``config.json``, which has the same name, what it is."""
    try:
        config = json.loads(text)
        trained_from = config["settings"].get("checkpoint") if "format_version" in config else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    if "format_version" in config:
        named = f" ({trained_from})" if trained_from else ""
        raise CheckpointError(
            f"expected a checkpoint, got a trained model's folder: give the checkpoint that it was trained from{named}"
        )


def params_from_pretrained_ckpt(folder: str | PathLike) -> BertConfig:
    """The ``BertModelLayer`` parameters of a checkpoint folder, in Google's or Hugging Face's layout."""
    return map_stock_config_to_params(read_stock_config(folder))


def resolved_max_seq_len(asked: int | None, default: int, positions: int, name: str = "max_seq_len") -> int:
    """The longest sentence in tokens: as asked, else the default, or the checkpoint's positions if those are fewer.

    Args:
        asked: a number of tokens ([CLS] and [SEP] among them), or None for the default.
        default: at least 3; where it is lowered, the log says so.
        positions: the checkpoint's ``max_position_embeddings``.
        name: what the user calls it, for the message.

    Raises:
        SettingsError: no whole number, fewer than 3 tokens, or more than the checkpoint's positions.
    """
    if asked is None:
        if positions < default:
            logger.info(
                "%s is %d, for the checkpoint has no more positions (the default is %d)", name, positions, default
            )
        return min(default, positions)
    if not isinstance(asked, Integral) or isinstance(asked, bool):
        raise SettingsError(f"{name} must be a whole number, not {asked!r}")
    if not SHORTEST <= asked <= positions:
        raise SettingsError(f"{name} must be {SHORTEST} to {positions} tokens for this checkpoint, not {asked}")
    return int(asked)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CheckpointError(f"no such file: {path}") from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is not a UTF-8 text file") from None
