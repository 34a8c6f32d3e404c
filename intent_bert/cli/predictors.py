"""A model folder opened for a command: TensorFlow is imported, quietly, only where the engine is Keras."""

from typing import TYPE_CHECKING

from intent_bert.cli.console import import_tensorflow_quietly

if TYPE_CHECKING:
    from intent_bert.inference.predictor import IntentPredictor


def load_predictor(
    model_dir: str, engine: str, sentences: int = 1, require_signature: str | None = None
) -> "IntentPredictor":
    """The predictor of a folder on this engine, or on the best (``auto``) for about so many sentences."""
    from intent_bert.inference.engines import OPENVINO
    from intent_bert.inference.predictor import IntentPredictor

    chosen = prepared_engine(model_dir, engine, sentences, require_signature)
    if chosen == OPENVINO:
        chosen = engine  # auto takes another one where this can't be had
    return IntentPredictor.load(model_dir, engine=chosen, sentences=sentences, require_signature=require_signature)


def prepared_engine(model_dir: str, engine: str, sentences: int = 1, require_signature: str | None = None) -> str:
    """The engine that will compute; what it needs to be imported quietly is."""
    from intent_bert.inference.engines import KERAS, choose_engine
    from intent_bert.model.folder import ModelFolder

    chosen = choose_engine(ModelFolder(model_dir, require_signature), engine, sentences)
    if chosen == KERAS:
        import_tensorflow_quietly()
    return chosen
