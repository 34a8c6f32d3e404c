"""A model judged by a table, as one page: metrics, what it confuses, its surest mistakes and the words behind them.

    report = report_model("runs/snips", "test.csv", "report.html")
    report.mistakes.head()                           the same as DataFrames

The metrics are those of ``evaluate``. How the page looks is report_page.py's business.
"""

from os import PathLike
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import INTENT, LABEL_SEPARATOR, TEXT
from intent_bert.data.label_sets import all_labels
from intent_bert.data.tables import Source, read_table
from intent_bert.errors import DataError
from intent_bert.files.progress import progress_bar
from intent_bert.inference.engines import AUTO
from intent_bert.inference.explanation import Explanation
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.folder import ModelFolder
from intent_bert.workbench.judging import judge, labelled_table
from intent_bert.workbench.page import check_page_place
from intent_bert.workbench.report_page import report_page
from intent_bert.workbench.report_results import Report, surest_mistakes
from intent_bert.workbench.report_rows import rows_of_one, rows_of_several
from intent_bert.workbench.suspects import suspected_labels
from intent_bert.workbench.training_sentences import known_sentences_of

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.inference.known_sentences import KnownSentences

MOST_EXPLAINED = 200  # mistakes, the surest ones


def report_model(
    model_dir: str | PathLike,
    table: Source,
    output: str | PathLike | None = None,
    *,
    text_column: str = TEXT,
    label_column: str = INTENT,
    label_separator: str | None = None,
    unknown_label: str | None = None,
    train: Source | None = None,
    engine: str = AUTO,
    explained: int = MOST_EXPLAINED,
    verbose: int = 1,
) -> Report:
    """Judge a model by a labelled table, and write what is found as one HTML page that opens offline.

    Args:
        model_dir: a model folder.
        table: sentences with their intents: a path, a DataFrame, or (texts, labels).
        output: the page; None writes none.
        text_column, label_column, label_separator: as in ``read_table``; the last for a multi-label model.
        unknown_label: of rows that mean none of the intents.
        train: what the model was trained on, with the same columns: the nearest of its sentences stand beside each
            mistake. A model folder keeps no sentence.
        engine: as in ``IntentPredictor.load``.
        explained: of how many mistakes, the surest ones, the words are looked at.
        verbose: 0 shows no progress.

    Raises:
        DataError: the table can't be used, or the model knows none of its labels.
        SettingsError: the page can't stand there, or an option does not go with this model.
        ModelFolderError: the folder can't be read.
    """
    started = perf_counter()
    place = None if output is None else check_page_place(output)
    folder = ModelFolder(model_dir)
    columns = text_column, label_column
    rows, separator = labelled_table(folder, table, *columns, label_separator, unknown_label)
    _check_labels(folder, rows, unknown_label)
    several = folder.decision.multi_label
    trained_on = None if train is None else read_table(train, *columns, separator if several else None)
    predictor = IntentPredictor.load(model_dir, engine=engine)
    known = None if trained_on is None else known_sentences_of(predictor, trained_on, _said("comparing", verbose))
    name = folder.path.resolve().name
    report = report_of(predictor, name, rows, separator, unknown_label, known, explained, verbose)
    report.seconds["all"] = perf_counter() - started
    if place is not None:
        report_page(report).write(place)
    return report


def report_of(
    predictor: IntentPredictor,
    name: str,
    table: "pd.DataFrame",
    separator: str = LABEL_SEPARATOR,
    unknown_label: str | None = None,
    known: "KnownSentences | None" = None,
    explained: int = MOST_EXPLAINED,
    verbose: int = 1,
) -> Report:
    """As ``report_model``, of a model called ``name`` and a table that are read already."""
    judged = judge(predictor, table, separator, unknown_label, _said("evaluating", verbose))
    classes, decision = [str(label) for label in predictor.classes], predictor.decision
    if predictor.multi_label:
        rows = rows_of_several(judged, decision, classes, separator)
    else:
        rows = rows_of_one(judged, decision, classes, unknown_label)
    started = perf_counter()
    explanations = _explained(predictor, surest_mistakes(rows).head(explained), known, verbose)
    return Report(
        name=name,
        source=_short(str(table.attrs.get("source", "a table"))),
        predictor=predictor,
        judged=judged,
        rows=rows,
        suspects=suspected_labels(rows, predictor, judged),
        explanations=explanations,
        unknown_label=unknown_label,
        separator=separator,
        compared=known is not None,
        seconds={"predictions": judged.seconds, "explanations": perf_counter() - started},
    )


def _said(what: str, verbose: int) -> str | None:
    return what if verbose else None


def _short(source: str) -> str:
    """The last two parts of a path: a page is passed on, and tells no more of its maker's disk."""
    return "/".join(source.replace("\\", "/").split("/")[-2:])


def _check_labels(folder: ModelFolder, table: "pd.DataFrame", unknown_label: str | None) -> None:
    """Raise DataError where the model knows none of the labels of a table that has some."""
    written = list(dict.fromkeys(str(label) for label in all_labels(table[INTENT]) if str(label) != unknown_label))
    known = [str(label) for label in folder.classes]
    if written and not set(written) & set(known):
        raise DataError(
            f"no label of {table.attrs['source']} is an intent of {folder.path}: the table has {_some(written)}, the "
            f"model knows {_some(known)}; give a table with the model's intents, or name the column that has them"
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) if len(name) <= 40 else f"{name[:39]!r}…" for name in names[:3])
    return f"{shown}{', ...' if len(names) > 3 else ''}"


def _explained(
    predictor: IntentPredictor, mistakes: "pd.DataFrame", known: "KnownSentences | None", verbose: int
) -> dict[int, Explanation]:
    found: dict[int, Explanation] = {}
    texts: dict[Any, str] = mistakes["text"].to_dict()
    with progress_bar(len(texts), _said("explaining", verbose), "mistake", delay=2, leave=False) as bar:
        places = list(texts)
        for some in np.array_split(np.array(places, int), max(len(places) // 20, 1)):
            explained = predictor.explain_all([texts[place] for place in some.tolist()], known)
            found |= dict(zip(some.tolist(), explained, strict=True))
            bar.update(len(some))
    return found
