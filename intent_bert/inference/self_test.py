"""The self-test of a sealed model: some sentences with their predictions, asked again on the machine that loads it.

A package, a processor or a file that computes otherwise is found before the first answer. The sentences are these here;
none comes from the data that a model was trained on.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.errors import ModelFolderError
from intent_bert.model.decision import is_wordless
from intent_bert.model.sealed import SELF_TEST

if TYPE_CHECKING:
    from intent_bert.inference.engines import Engine
    from intent_bert.model.folder import ModelFolder
    from intent_bert.model.saved import Artifact

SENTENCES = (
    "Play our song now",
    "will it rain in São Paulo tomorrow?",
    "book a table for two at 7:30pm",
    "I can't log in - what's wrong with my account?",
    "what is the capital of 日本",
    "DON'T YOU DARE!!!",
    "thank you 🙏 so much",
    "please " * 60,
)
LARGEST_DIFFERENCE = 1e-3  # of a probability, in float32
LARGEST_DIFFERENCE_OF_OTHERS = 0.1  # on engines of lower precision
_FLOAT32 = ("onnx", "keras")


def self_test_of(model: "Artifact", engine: "Engine") -> dict[str, Any]:
    """What stands in ``self_test.json``: each sentence with its probabilities, in the order of the classes."""
    return {
        "sentences": [
            {"text": text, "intent": str(model.classes[row.argmax()]), "probabilities": [float(p) for p in row]}
            for text, row in zip(SENTENCES, _probabilities(model, engine, SENTENCES), strict=True)
        ]
    }


def run_self_test(model: "ModelFolder", engine: "Engine") -> None:
    """Raise ModelFolderError where a sealed model predicts otherwise on this engine than when it was sealed."""
    texts, expected = _read(model.file(SELF_TEST), model.path, len(model.classes))
    allowed = LARGEST_DIFFERENCE if engine.name in _FLOAT32 else LARGEST_DIFFERENCE_OF_OTHERS
    for text, before, now in zip(texts, expected, _probabilities(model, engine, texts), strict=True):
        if not np.abs(before - now).max() <= allowed:  # NaN is not
            worst = int(np.abs(before - now).argmax())
            raise ModelFolderError(
                f"{model.path} fails its self-test: {text[:40]!r} got {str(model.classes[worst])!r} with "
                f"{before[worst]:.4f} when it was sealed, and gets {now[worst]:.4f} here; copy it again, or update "
                "onnxruntime"
            )


def _probabilities(model: "Artifact | ModelFolder", engine: "Engine", texts: Sequence[str]) -> np.ndarray:
    ids, _ = model.tokenizer.encode(texts, model.max_seq_len)
    return model.decision.predictions(engine.outputs(ids), is_wordless(ids)).probabilities


def _read(file: Path, named: Path, classes: int) -> tuple[list[str], np.ndarray]:
    try:
        sentences = json.loads(file.read_text(encoding="utf-8"))["sentences"]
        texts = [str(each["text"]) for each in sentences]
        expected = np.array([each["probabilities"] for each in sentences], "float32")
        if expected.shape != (len(texts), classes) or not texts:
            raise ValueError(f"shape {expected.shape}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFolderError(f"{named} is damaged: its self-test can't be read ({error})") from error
    return texts, expected
