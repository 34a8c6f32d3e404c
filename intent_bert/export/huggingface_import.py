"""A model folder from a ``BertForSequenceClassification``; huggingface_classifier.py reads Hugging Face's layout."""

from os import PathLike
from pathlib import Path

from intent_bert.errors import ModelFolderError
from intent_bert.evaluation.card import imported_card
from intent_bert.export.exports import export_with_the_run
from intent_bert.export.huggingface_classifier import read_classifier
from intent_bert.inference.agreement import sentences_for
from intent_bert.model.folder import CARD_FILE
from intent_bert.model.saved import save_artifact


def import_model(folder: str | PathLike, output: str | PathLike) -> Path:
    """Make a model folder of a ``BertForSequenceClassification``.

    Args:
        folder: a local folder in Hugging Face's layout, as ``save_pretrained`` writes it.
        output: the model folder, which must not be there yet.

    Returns:
        The model folder.

    Raises:
        CheckpointError: the folder holds another kind of model, or is missing something.
        ModelFolderError: the output holds something else.
        DiskError: it can't be written.
    """
    source = Path(folder)
    if Path(output).exists():
        raise ModelFolderError(f"won't write the model to {output}: it is there already; name a new folder")
    artifact = read_classifier(source)
    card = imported_card(source.resolve().name, artifact.classes, artifact.encoder, artifact.decision)

    def write_card(work: Path) -> None:
        (work / CARD_FILE).write_text(card, encoding="utf-8")

    return save_artifact(
        artifact,
        output,
        write_extras=write_card,
        write_exports=lambda work: export_with_the_run(artifact, work, sentences_for(work), "the sample"),
    )
