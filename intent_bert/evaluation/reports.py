"""The files that show where a model goes wrong: the confusion matrix as PNG and CSV, and the mistakes as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from intent_bert.evaluation.calibration_plots import coverage_plot, reliability_plot, scope_plot
from intent_bert.evaluation.confusion_plot import confusion_plot
from intent_bert.evaluation.drawing import save_plot
from intent_bert.evaluation.metrics import NO_INTENT_NAME, Evaluation
from intent_bert.evaluation.multi_label import AnyEvaluation, MultiLabelEvaluation
from intent_bert.evaluation.multi_label_plot import multi_label_plot
from intent_bert.files.tables_out import write_csv
from intent_bert.model.folder import (
    CONFUSION_PICTURE,
    CONFUSION_TABLE,
    COVERAGE_PICTURE,
    MISTAKES_FILE,
    RELIABILITY_PICTURE,
    SCOPE_PICTURE,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORTS = (
    CONFUSION_PICTURE, CONFUSION_TABLE, MISTAKES_FILE, RELIABILITY_PICTURE, SCOPE_PICTURE, COVERAGE_PICTURE
)  # fmt: skip


def evaluation_plot(evaluation: AnyEvaluation, title: str) -> "Figure":
    """The confusion matrix as a plot; of several intents a sentence also which occur together."""
    if isinstance(evaluation, MultiLabelEvaluation):
        together = evaluation.together, evaluation.together_right
        return multi_label_plot(evaluation.confusion, *together, evaluation.labels, title)
    return confusion_plot(evaluation.confusion, evaluation.labels, title)


def write_reports(folder: Path, evaluation: AnyEvaluation, name: str, *, guard_formulas: bool = False) -> None:
    """Write confusion matrix, mistakes and, of one intent a sentence, what tells whether the model can be trusted.

    Files that stand there are replaced.

    The csv files hold texts and labels as they are, for programs read them too (``evaluate`` among them).

    Args:
        folder: an existing folder.
        evaluation: the metrics of one table.
        name: the table's, for the plot's title.
        guard_formulas: write the csv files for spreadsheets, which then take no text for a formula.
    """
    several = isinstance(evaluation, MultiLabelEvaluation)
    save_plot(evaluation_plot(evaluation, f"{name}: {evaluation.headline}"), folder / CONFUSION_PICTURE)
    names = [*evaluation.labels, NO_INTENT_NAME] if several else evaluation.labels
    counts = ([label, *row] for label, row in zip(names, evaluation.confusion.tolist(), strict=True))
    write_csv(folder / CONFUSION_TABLE, ["label", *names], counts, guard_formulas=guard_formulas)
    if isinstance(evaluation, Evaluation):
        _write_trust_plots(folder, evaluation, name)
    mistakes = evaluation.mistakes
    rows = mistakes.itertuples(index=False)
    write_csv(folder / MISTAKES_FILE, mistakes.columns, rows, guard_formulas=guard_formulas)


def _write_trust_plots(folder: Path, evaluation: Evaluation, name: str) -> None:
    if evaluation.calibration:
        title = f"{name}: calibration error {evaluation.calibration['ece']:.2%}"
        save_plot(
            reliability_plot(evaluation.reliability, evaluation.uncalibrated, title), folder / RELIABILITY_PICTURE
        )
    if not np.isnan(evaluation.scope.scores).any():
        found = evaluation.out_of_scope
        told = "" if found is None else f", AUROC {found['auroc']:.4f}"
        save_plot(scope_plot(evaluation.scope, f"{name}: in scope or not{told}"), folder / SCOPE_PICTURE)
        save_plot(coverage_plot(evaluation.scope, f"{name}: accuracy by coverage"), folder / COVERAGE_PICTURE)
