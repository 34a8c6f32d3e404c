"""The files that show where a model goes wrong: the confusion matrix as PNG and CSV, and the mistakes as CSV."""

from pathlib import Path

from intent_bert.evaluation.confusion_plot import confusion_plot
from intent_bert.evaluation.drawing import save_plot
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.files.tables_out import write_csv
from intent_bert.model.folder import CONFUSION_PICTURE, CONFUSION_TABLE, MISTAKES_FILE

REPORTS = (CONFUSION_PICTURE, CONFUSION_TABLE, MISTAKES_FILE)


def write_reports(folder: Path, evaluation: Evaluation, name: str, *, guard_formulas: bool = False) -> None:
    """Write the three files; those that stand there are replaced.

    The csv files hold texts and labels as they are, for programs read them too (``evaluate`` among them).

    Args:
        folder: an existing folder.
        evaluation: the metrics of one table.
        name: the table's, for the plot's title.
        guard_formulas: write the csv files for spreadsheets, which then take no text for a formula.
    """
    plot = confusion_plot(evaluation.confusion, evaluation.labels, f"{name}: accuracy {evaluation.accuracy:.2%}")
    save_plot(plot, folder / CONFUSION_PICTURE)
    counts = ([label, *row] for label, row in zip(evaluation.labels, evaluation.confusion.tolist(), strict=True))
    write_csv(folder / CONFUSION_TABLE, ["label", *evaluation.labels], counts, guard_formulas=guard_formulas)
    mistakes = evaluation.mistakes
    rows = mistakes.itertuples(index=False)
    write_csv(folder / MISTAKES_FILE, mistakes.columns, rows, guard_formulas=guard_formulas)
