"""The graph of a checkpoint's encoder for ONNX Runtime, as all-MiniLM-L6-v2 and its kin are read: without a head.

    input_ids (B, T) int32 -> embeddings -> encoder layers -> mean over the tokens -> vector (B, H)

It is the graph of a classifier that ends at the vector, so ``OnnxEngine`` runs it; where that reads logits, the vector
stands once more. Needs TensorFlow, which reads Google's files.
"""

from pathlib import Path

from intent_bert.bert.checkpoint import check_checkpoint_folder, load_stock_weights
from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.export.onnx_graph import encoder_model


def write_encoder(checkpoint: Path, path: Path) -> None:
    """Draw the encoder of a checkpoint folder into a file.

    Raises:
        CheckpointError: it is no whole checkpoint.
    """
    bert = BertModelLayer.from_params(
        params_from_pretrained_ckpt(check_checkpoint_folder(checkpoint)), name="bert", dtype="float32"
    )
    bert.build((None, None))
    load_stock_weights(bert, checkpoint)
    path.write_bytes(encoder_model(bert).SerializeToString())
