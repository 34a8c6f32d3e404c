"""The numbers of a report: tiles with intervals, and what the plots of trust are drawn from, for both kinds."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intent_bert.evaluation.calibration import SMALLEST_PROBABILITY, Reliability
from intent_bert.evaluation.intervals import macro_f1_interval, micro_f1_interval
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.evaluation.multi_label import MultiLabelEvaluation
from intent_bert.evaluation.out_of_scope import ScopeScores
from intent_bert.evaluation.significance import bootstrap_interval
from intent_bert.workbench.page_blocks import Metric
from intent_bert.workbench.report_rows import label_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intent_bert.workbench.report_results import Report


def metric_tiles(report: "Report") -> list[Metric]:
    """The metrics with their intervals."""
    if isinstance(report.evaluation, MultiLabelEvaluation):
        return _of_several(report, report.evaluation)
    return _of_one(report, report.evaluation)


def _of_one(report: "Report", evaluation: Evaluation) -> list[Metric]:
    judged = report.rows[report.rows["judged"]]
    numbers, _ = pd.factorize(pd.concat([judged["label"], judged["prediction"]]))
    expected, predicted = np.split(numbers, 2)
    found, intervals = evaluation.calibration, evaluation.reliability.intervals()
    tiles = [
        Metric("accuracy", f"{evaluation.accuracy:.2%}", _between(bootstrap_interval(judged["right"].to_numpy()))),
        Metric("macro F1", f"{evaluation.macro_f1:.2%}", _between(macro_f1_interval(expected, predicted))),
        Metric("calibration error", f"{found['ece']:.2%}", _between(intervals["ece"])),
        Metric("Brier score", f"{found['brier']:.4f}", _between(intervals["brier"], ".4f")),
        Metric("log loss", f"{found['log_loss']:.4f}", _between(intervals["log_loss"], ".4f")),
    ]
    scope = evaluation.out_of_scope
    if scope is not None:
        tiles.append(Metric("unknown: AUROC", f"{scope['auroc']:.4f}", f"{scope['unknown']:,} unknown sentences"))
        if scope["threshold"] is not None:
            kept = f"{scope['accepted_known']:.1%} of the others are accepted"
            tiles.append(Metric("unknown refused", f"{scope['rejected_unknown']:.1%}", kept))
    return [*tiles, Metric("sentences", f"{evaluation.rows:,}", f"{len(report.predictor.classes):,} intents")]


def _of_several(report: "Report", evaluation: MultiLabelEvaluation) -> list[Metric]:
    right = report.rows["right"].to_numpy()
    expected, chosen = label_sets(report.judged, report.predictor.decision, _classes(report))
    return [
        Metric("exactly right", f"{evaluation.subset_accuracy:.2%}", _between(bootstrap_interval(right))),
        Metric("micro F1", f"{evaluation.micro_f1:.2%}", _between(micro_f1_interval(expected, chosen))),
        Metric("macro F1", f"{evaluation.macro_f1:.2%}", "mean over the labels"),
        Metric("Hamming loss", f"{evaluation.hamming_loss:.4f}", "share of wrong decisions"),
        Metric("log loss", f"{evaluation.loss:.4f}", "of each decision"),
        Metric("sentences", f"{evaluation.rows:,}", f"{len(report.predictor.classes):,} intents"),
    ]


def _between(interval: "Sequence[float]", written: str = ".2%") -> str:
    low, high = interval
    return f"{low:{written}} to {high:{written}}"


def _classes(report: "Report") -> list[str]:
    return [str(label) for label in report.predictor.classes]


def reliability_of(report: "Report") -> tuple[Reliability, Reliability]:
    """After calibration and before; of several intents that of every probability, which is not calibrated."""
    evaluation = report.evaluation
    if isinstance(evaluation, Evaluation):
        return evaluation.reliability, evaluation.uncalibrated
    classes = _classes(report)
    expected = label_sets(report.judged, report.predictor.decision, classes)[0][:, : len(classes)].ravel()
    given = report.judged.predictions.probabilities.ravel().astype("float64")
    of_truth = np.maximum(np.where(expected, given, 1 - given), SMALLEST_PROBABILITY)
    both = Reliability(given, expected, (given - expected) ** 2, -np.log(of_truth))
    return both, both


def scope_of(report: "Report") -> ScopeScores:
    """What tells which sentences would be answered at which score."""
    if isinstance(report.evaluation, Evaluation):
        return report.evaluation.scope
    predictions, right = report.judged.predictions, report.rows["right"].to_numpy()
    likeliest = predictions.probabilities.max(axis=1)
    return ScopeScores(predictions.scores, likeliest, np.ones(len(right), bool), right, 0.0)
