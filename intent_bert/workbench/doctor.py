"""What is wrong with a table of sentences and intents, before a model is trained on it.

    table -> sheets -> by the texts     contradiction  duplicate  near-duplicate  leak  odd-text
                    -> by the tokens    cut  unknown-words
                    -> by counting      too-few  imbalance
                    -> by the vectors   label-error  outlier  overlap
                    -> findings, the worst first

Nothing is changed here: ``applying`` writes a new table. Each family of findings has a module of its own.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from intent_bert.bert.known_checkpoints import DEFAULT_CHECKPOINT
from intent_bert.config import INTENT, TEXT
from intent_bert.data.tables import Source
from intent_bert.workbench.doubts import LEAST_ROWS, doubts_of
from intent_bert.workbench.duplicates import near_texts, repeated_texts
from intent_bert.workbench.findings import Finding, as_frame, in_order
from intent_bert.workbench.intents import intent_findings
from intent_bert.workbench.label_errors import label_errors, outliers, overlaps
from intent_bert.workbench.odd_texts import odd_texts
from intent_bert.workbench.sheets import Sheet, sheets_of
from intent_bert.workbench.tokens import token_findings
from intent_bert.workbench.vectors import FrozenEncoder

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("intent_bert")


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, what was found, and what could not be told.

    Attributes:
        sheets: the table, and those it was compared with.
        findings: the worst first.
        left_out: a sentence for each thing that was not looked for, and why.
    """

    sheets: list[Sheet]
    findings: list[Finding]
    left_out: list[str]


def diagnose(
    table: Source,
    against: Source | None = None,
    *,
    text_column: str = TEXT,
    label_column: str = INTENT,
    label_separator: str | None = None,
    checkpoint: str | PathLike = DEFAULT_CHECKPOINT,
    max_seq_len: int | None = None,
    quick: bool = False,
    memory: str | PathLike | None = None,
    seed: int = 0,
    verbose: int = 0,
) -> "pd.DataFrame":
    """Find what is wrong with a table, the worst first; nothing is changed.

    Args:
        table: what ``read_table`` takes; or a folder with a train file or a data set's name, whose other splits the
            train table is compared with.
        against: another table, whose sentences should not stand in the first.
        text_column: the name of the column with the sentences.
        label_column: the name of the column with the intents.
        label_separator: a row may have several labels, joined by this; then intents are not judged by vectors.
        checkpoint: whose vocabulary and vectors are used: a known name, a checkpoint folder, or a model folder.
        max_seq_len: longer texts count as cut; None means what training takes by default.
        quick: leave out what needs vectors: label-error, outlier and overlap.
        memory: a folder that keeps the vectors for later runs.
        seed: of the folds.
        verbose: 1 shows progress on stderr when the work takes over two seconds.

    Returns:
        A row for each finding, the worst first: ``kind``, ``severity`` (error, warning, info), ``row``, ``text``,
        ``intent``, ``suggestion``, ``score`` (0 to 1), ``other_row`` and ``why``. Rows are those of ``read_table``.

    Raises:
        DataError: no such file or column, or no row with a text and an intent.
        SettingsError, CheckpointError, DownloadError, ModelFolderError: the checkpoint can't be used.

    Examples:
        >>> found = diagnose((["play it", "Play it!", "play it"], ["music", "music", "video"]), quick=True)
        >>> found[["kind", "row", "suggestion"]].head(1).values.tolist()
        [['contradiction', 2, 'intent: music']]
    """
    sheets = sheets_of(table, against, text_column, label_column, label_separator)
    encoder = FrozenEncoder(checkpoint, max_seq_len)
    return as_frame(examine(sheets, encoder, quick=quick, memory=memory, seed=seed, progress=verbose > 0).findings)


def examine(
    sheets: list[Sheet],
    encoder: FrozenEncoder,
    *,
    quick: bool = False,
    memory: str | PathLike | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Diagnosis:
    """Look at the first sheet, and at the others for leaks."""
    sheet = sheets[0]
    findings = [broken for each in sheets for broken in each.broken]
    findings += repeated_texts(sheets)
    findings += near_texts(sheets)
    findings += odd_texts(sheet)
    findings += token_findings(sheet, encoder.tokenizer, encoder.max_seq_len)
    findings += intent_findings(sheet)
    reason = "they were left out (--quick)" if quick else _why_not_judged(sheet)
    if reason:
        return Diagnosis(sheets, in_order(findings), [f"no label-error, outlier and overlap: {reason}"])
    if encoder.is_tuned:
        logger.warning(
            "%s is a trained model: if it has learnt from this table, it has learnt its mistakes as well",
            encoder.folder,
        )
    rows = _distinct(sheet)
    vectors = encoder.vectors([sheet.texts[row] for row in rows], memory, progress)
    doubts = doubts_of(vectors, [sheet.intent(row) for row in rows], seed, progress)
    for family in (label_errors, outliers, overlaps):
        findings += family(sheet, rows, doubts)
    return Diagnosis(sheets, in_order(findings), [])


def _why_not_judged(sheet: Sheet) -> str:
    """Why sentences can't be asked about each other's intents, if so."""
    if sheet.separator is not None:
        return "a row may have several labels"
    if len(set(sheet.labels)) < 2:
        return "there is one intent only"
    if len(set(sheet.evened)) < LEAST_ROWS:
        return f"fewer than {LEAST_ROWS} different sentences tell nothing"
    return ""


def _distinct(sheet: Sheet) -> list[int]:
    """The first sentence of each evened text."""
    return sorted({text: number for number, text in reversed(list(enumerate(sheet.evened)))}.values())


def summary(diagnosis: Diagnosis) -> Iterable[tuple[str, str]]:
    """What was looked at, name and number."""
    sheet = diagnosis.sheets[0]
    yield "rows", f"{len(sheet.rows) + len(sheet.broken):,}"
    yield "different sentences", f"{len(set(sheet.evened)):,}"
    yield "intents", f"{len({label for labels in sheet.labels for label in _as_tuple(labels)}):,}"


def _as_tuple(labels: object) -> Sequence[object]:
    return labels if isinstance(labels, tuple) else (labels,)
