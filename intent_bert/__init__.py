"""Fine-tune a BERT checkpoint into a trusted intent recogniser, on Keras 3 and TensorFlow 2.

The names below load on first use, so that ``import intent_bert`` itself is quick and needs no TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from intent_bert.version import __version__

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
    from intent_bert.config import CompareConfig, TrainingConfig
    from intent_bert.data.preprocessing import IntentDetectionData
    from intent_bert.data.splits import split_table
    from intent_bert.data.tables import read_table
    from intent_bert.errors import (
        CheckpointError,
        DataError,
        DiskError,
        DownloadError,
        IntentBertError,
        ModelFolderError,
        SettingsError,
    )
    from intent_bert.estimators.bert_features import BertTransformer
    from intent_bert.estimators.classifier import IntentClassifier
    from intent_bert.estimators.comparison import compare
    from intent_bert.estimators.comparison_result import Comparison
    from intent_bert.estimators.word_vectors import WordVectorTransformer
    from intent_bert.evaluation.metrics import Evaluation, evaluate_probabilities
    from intent_bert.export.calibrate import calibrate
    from intent_bert.export.exports import export_model
    from intent_bert.inference.predictor import IntentPredictor
    from intent_bert.model.decision import Answer
    from intent_bert.model.network import create_model
    from intent_bert.model.saved import load_model
    from intent_bert.training.bucketed_batches import BucketedBatches
    from intent_bert.training.optimizer import adamw
    from intent_bert.training.run import train
    from intent_bert.workbench.behaviour import check_behaviour
    from intent_bert.workbench.diff import diff_models
    from intent_bert.workbench.discovery import Discovery, discover
    from intent_bert.workbench.doctor import diagnose
    from intent_bert.workbench.drift import Drift, detect_drift, learn_usual
    from intent_bert.workbench.report import report_model
    from intent_bert.workbench.report_results import Report
    from intent_bert.workbench.suggestions import suggest

_HOMES = {
    "BertConfig": "bert",
    "BertModelLayer": "bert",
    "FullTokenizer": "bert",
    "StockBertConfig": "bert",
    "load_stock_weights": "bert",
    "map_stock_config_to_params": "bert",
    "params_from_pretrained_ckpt": "bert",
    "Answer": "model.decision",
    "BertTransformer": "estimators.bert_features",
    "BucketedBatches": "training.bucketed_batches",
    "CompareConfig": "config",
    "Comparison": "estimators.comparison_result",
    "Evaluation": "evaluation.metrics",
    "IntentBertError": "errors",
    "CheckpointError": "errors",
    "DataError": "errors",
    "DiskError": "errors",
    "DownloadError": "errors",
    "ModelFolderError": "errors",
    "SettingsError": "errors",
    "IntentClassifier": "estimators.classifier",
    "IntentDetectionData": "data.preprocessing",
    "IntentPredictor": "inference.predictor",
    "TrainingConfig": "config",
    "adamw": "training.optimizer",
    "calibrate": "export.calibrate",
    "check_behaviour": "workbench.behaviour",
    "compare": "estimators.comparison",
    "WordVectorTransformer": "estimators.word_vectors",
    "create_model": "model.network",
    "diff_models": "workbench.diff",
    "diagnose": "workbench.doctor",
    "load_model": "model.saved",
    "evaluate_probabilities": "evaluation.metrics",
    "read_table": "data.tables",
    "split_table": "data.splits",
    "export_model": "export.exports",
    "train": "training.run",
    "Report": "workbench.report_results",
    "report_model": "workbench.report",
    "Discovery": "workbench.discovery",
    "discover": "workbench.discovery",
    "Drift": "workbench.drift",
    "detect_drift": "workbench.drift",
    "learn_usual": "workbench.drift",
    "suggest": "workbench.suggestions",
}
__all__ = [
    "Answer",
    "BertConfig",
    "BertModelLayer",
    "BertTransformer",
    "BucketedBatches",
    "CheckpointError",
    "CompareConfig",
    "Comparison",
    "DataError",
    "Discovery",
    "DiskError",
    "DownloadError",
    "Drift",
    "Evaluation",
    "FullTokenizer",
    "IntentBertError",
    "IntentClassifier",
    "IntentDetectionData",
    "IntentPredictor",
    "ModelFolderError",
    "Report",
    "SettingsError",
    "StockBertConfig",
    "TrainingConfig",
    "WordVectorTransformer",
    "__version__",
    "adamw",
    "calibrate",
    "check_behaviour",
    "compare",
    "create_model",
    "detect_drift",
    "diagnose",
    "diff_models",
    "discover",
    "evaluate_probabilities",
    "export_model",
    "learn_usual",
    "load_model",
    "load_stock_weights",
    "map_stock_config_to_params",
    "params_from_pretrained_ckpt",
    "read_table",
    "report_model",
    "split_table",
    "suggest",
    "train",
]


_MODULES = {"datasets": "data.datasets", "plots": "evaluation.plots"}  # modules that users call by name


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
