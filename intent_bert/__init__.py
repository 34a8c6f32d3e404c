"""Fine-tune a BERT checkpoint into a trusted intent recogniser, on Keras 3 and TensorFlow 2.

The names below load on first use, so that ``import intent_bert`` itself is quick and needs no TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from intent_bert.bert import (
        BertConfig,
        BertModelLayer,
        FullTokenizer,
        StockBertConfig,
        load_stock_weights,
        map_stock_config_to_params,
        params_from_pretrained_ckpt,
    )
    from intent_bert.classifier import IntentClassifier
    from intent_bert.comparison import Comparison, compare
    from intent_bert.data import IntentDetectionData, split_table
    from intent_bert.errors import IntentBertError
    from intent_bert.evaluation import Evaluation, evaluate_probabilities
    from intent_bert.export import export_model
    from intent_bert.features import BertTransformer
    from intent_bert.model import create_model
    from intent_bert.prediction import Answer, IntentPredictor
    from intent_bert.settings import CompareConfig, TrainingConfig
    from intent_bert.tables import read_table
    from intent_bert.training import train
    from intent_bert.word_vectors import WordVectorTransformer

_HOMES = {
    "BertConfig": "bert",
    "BertModelLayer": "bert",
    "FullTokenizer": "bert",
    "StockBertConfig": "bert",
    "load_stock_weights": "bert",
    "map_stock_config_to_params": "bert",
    "params_from_pretrained_ckpt": "bert",
    "Answer": "prediction",
    "BertTransformer": "features",
    "CompareConfig": "settings",
    "Comparison": "comparison",
    "Evaluation": "evaluation",
    "IntentBertError": "errors",
    "IntentClassifier": "classifier",
    "IntentDetectionData": "data",
    "IntentPredictor": "prediction",
    "TrainingConfig": "settings",
    "compare": "comparison",
    "WordVectorTransformer": "word_vectors",
    "create_model": "model",
    "evaluate_probabilities": "evaluation",
    "read_table": "tables",
    "split_table": "data",
    "export_model": "export",
    "train": "training",
}
__all__ = [
    "Answer",
    "BertConfig",
    "BertModelLayer",
    "BertTransformer",
    "CompareConfig",
    "Comparison",
    "Evaluation",
    "FullTokenizer",
    "IntentBertError",
    "IntentClassifier",
    "IntentDetectionData",
    "IntentPredictor",
    "StockBertConfig",
    "TrainingConfig",
    "WordVectorTransformer",
    "__version__",
    "compare",
    "create_model",
    "evaluate_probabilities",
    "export_model",
    "load_stock_weights",
    "map_stock_config_to_params",
    "params_from_pretrained_ckpt",
    "read_table",
    "split_table",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
