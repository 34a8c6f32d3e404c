"""Everything that would be true without intents: BERT's tokenizer, encoder and checkpoints.

The public names are those of the bert-for-tf2 package, so that code written for it needs new import lines only.
They load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intent_bert.bert.checkpoint import convert_checkpoint, load_stock_weights
    from intent_bert.bert.config import (
        BertConfig,
        StockBertConfig,
        map_stock_config_to_params,
        params_from_pretrained_ckpt,
    )
    from intent_bert.bert.encoder import BertModelLayer
    from intent_bert.bert.pretrained import fetch
    from intent_bert.bert.tokenization import FullTokenizer

_HOMES = {
    "BertConfig": "config",
    "BertModelLayer": "encoder",
    "FullTokenizer": "tokenization",
    "StockBertConfig": "config",
    "convert_checkpoint": "checkpoint",
    "fetch": "pretrained",
    "load_stock_weights": "checkpoint",
    "map_stock_config_to_params": "config",
    "params_from_pretrained_ckpt": "config",
}
__all__ = [
    "BertConfig",
    "BertModelLayer",
    "FullTokenizer",
    "StockBertConfig",
    "convert_checkpoint",
    "fetch",
    "load_stock_weights",
    "map_stock_config_to_params",
    "params_from_pretrained_ckpt",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
