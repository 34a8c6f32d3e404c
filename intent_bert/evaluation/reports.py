"""What people read of an evaluation, as files: the confusion matrix and the mistakes."""

from pathlib import Path

from intent_bert.evaluation.metrics import Evaluation
from intent_bert.evaluation.plots import confusion_figure, save_figure

CONFUSION_PICTURE, CONFUSION_TABLE, MISTAKES_FILE = "confusion_matrix.png", "confusion_matrix.csv", "mistakes.csv"


def write_reports(folder: Path, evaluation: Evaluation, name: str) -> None:
    """The confusion matrix as PNG and CSV, and the mistakes as CSV."""
    title = f"{name}: accuracy {evaluation.accuracy:.2%}"
    save_figure(confusion_figure(evaluation.confusion, evaluation.labels, title), folder / CONFUSION_PICTURE)
    evaluation.confusion_table().to_csv(folder / CONFUSION_TABLE)
    evaluation.mistakes.to_csv(folder / MISTAKES_FILE, index=False)
