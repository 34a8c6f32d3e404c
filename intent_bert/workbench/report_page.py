"""A report as a page: its sections in the order in which a reader asks, with intervals where chance plays a part."""

from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.evaluation.calibration_plots import coverage_plot, reliability_plot, scope_plot
from intent_bert.evaluation.metrics import Evaluation
from intent_bert.inference.engines import usable_cores
from intent_bert.workbench.page import Page
from intent_bert.workbench.page_blocks import Block, Column, Figure, Metric, Metrics, Section, Table, Text
from intent_bert.workbench.report_matrix import WHOLE_UP_TO, confusion_blocks, worst_confusion
from intent_bert.workbench.report_metrics import metric_tiles, reliability_of, scope_of
from intent_bert.workbench.report_sentences import mistake_blocks, refused_blocks, suspect_blocks

if TYPE_CHECKING:
    from intent_bert.workbench.report_results import Report


def report_page(report: "Report") -> Page:
    """The page of a report."""
    sections = [
        Section("In short", _in_short(report)),
        Section("Intent by intent", [_per_intent(report)]),
        Section("What is confused", confusion_blocks(report)),
        Section("The surest mistakes", mistake_blocks(report)),
        Section("Can it be trusted?", _trust(report)),
        Section("What was refused", refused_blocks(report)),
        Section("Labels that may be wrong", suspect_blocks(report)),
        Section("How long it took", _time(report)),
    ]
    return Page(f"{report.name} on {report.source}", sections, "How well a model does on a table it has not learnt.")


# --- metrics -----------------------------------------------------------------------------------------------------


def _in_short(report: "Report") -> list[Block]:
    judged = report.rows[report.rows["judged"]]
    exact = "exactly the right intents" if report.predictor.multi_label else "the right intent"
    blocks: list[Block] = [
        Metrics(metric_tiles(report)),
        Text(
            f"{int(judged['right'].sum()):,} of {len(judged):,} sentences get {exact}. Intervals hold 95 % of what "
            "other tables of this size would show by chance (bootstrap)."
        ),
    ]
    unknown = report.evaluation.unknown_labels
    if unknown:
        named = ", ".join(f"{label} ({count})" for label, count in list(unknown.items())[:20])
        blocks.append(Text(f"Labels that training never had, which count as mistakes: {named}.", "warn"))
    return blocks


def _per_intent(report: "Report") -> Table:
    from intent_bert.evaluation.significance import bootstrap_interval

    counts, names = report.evaluation.confusion, [str(name) for name in report.confusion.index]
    whole = len(names) <= WHOLE_UP_TO
    places = {name: place for place, name in enumerate(names)}
    rows: list[list[Any]] = []
    for name, line in report.per_intent.iterrows():
        support, recall, row = int(line["support"]), float(line["recall"]), places[str(name)]
        right = np.arange(support) < round(recall * support)
        low, high = bootstrap_interval(right) if support else (None, None)
        rows.append(
            [name, support, line["precision"], recall, low, high, line["f1"], worst_confusion(counts, row, names)]
            if whole
            else [name, support, line["precision"], recall, low, high, line["f1"]]
        )
    share = ".1%"
    columns: list[str | Column] = [
        "intent",
        Column("sentences", ",d"),
        Column("precision", share, "of the sentences that get this intent, how many have it"),
        Column("recall", share, "of the sentences that have this intent, how many get it"),
        Column("from", share, "the lower end of the recall's interval"),
        Column("to", share, "the upper end"),
        Column("F1", share, "the harmonic mean of precision and recall"),
    ]
    return Table([*columns, *(["most often taken for"] if whole else [])], rows, caption="The worst first")


# --- trust -------------------------------------------------------------------------------------------------------


def _trust(report: "Report") -> list[Block]:
    after, before = reliability_of(report)
    scope = scope_of(report)
    several = report.predictor.multi_label
    of = "each probability of each intent" if several else "the confidence of each prediction"
    blocks: list[Block] = [
        Figure.of(
            reliability_plot(after, before, "Reliability"),
            "how many predictions are right, by confidence",
            f"Is a probability what it says? Taken is {of}: on the dashed line 80 of 100 with 80 % are right.",
        ),
        Figure.of(
            coverage_plot(scope, "Accuracy by coverage"),
            "the accuracy of the sentences that are answered, by their share",
            "What is gained where the least sure sentences are not answered"
            + ("; the dashed line is the model's threshold." if scope.threshold is not None else "."),
        ),
    ]
    if isinstance(report.evaluation, Evaluation) and report.evaluation.out_of_scope is not None:
        plot = scope_plot(scope, "In scope or not")
        blocks.append(
            Figure.of(plot, "scores of sentences in scope and of unknown ones", "The score and its threshold.")
        )
    return blocks


def _time(report: "Report") -> list[Block]:
    seconds, number = report.seconds, len(report.rows)
    return [
        Metrics(
            [
                Metric("predictions", f"{seconds['predictions']:.1f} s", f"{number:,} sentences"),
                Metric("sentences a second", f"{number / max(seconds['predictions'], 1e-9):,.0f}", "in batches"),
                Metric("explanations", f"{seconds['explanations']:.1f} s", f"{len(report.explanations):,} mistakes"),
                Metric(
                    "all",
                    f"{seconds.get('all', sum(seconds.values())):.1f} s",
                    f"{report.predictor.engine}, {usable_cores()} cores",
                ),
            ]
        )
    ]
