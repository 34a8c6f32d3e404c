"""The decision of a saved model, found anew on sentences that its weights have not seen; the weights stay.

A model folder of an earlier version has nothing that tells sentences in scope from others. There the sentences of the
table take two parts: half of each intent's stand for what is in scope, the other half chooses the threshold. Exports
that lack what this needs are written again. The sketch of usual sentences is made anew, for it tells of the decision.
"""

import logging
from dataclasses import dataclass
from itertools import compress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from intent_bert.config import DEFAULT_KNOWN_ACCEPTANCE, INTENT, TEXT, check_known_acceptance
from intent_bert.data.labels import label_ids
from intent_bert.data.splits import split_off
from intent_bert.data.tables import Source, read_table
from intent_bert.data.unknown import check_unknown_label
from intent_bert.errors import DataError, SettingsError
from intent_bert.evaluation.card import with_trust
from intent_bert.files.lock import one_writer
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import Decision, is_wordless
from intent_bert.model.folder import (
    CARD_FILE,
    CONFIG_FILE,
    SCOPE_FILE,
    SKETCH_FILE,
    ModelFolder,
    check_name,
    check_output_folder,
    link_own_files,
    replacement,
    write_config,
    write_sketch,
)
from intent_bert.model.held_out import HeldOut, decided
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import Scope, kept_rows
from intent_bert.model.sketch import LEAST_ROWS, Sketch, observed, token_kinds

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("intent_bert")


@dataclass(frozen=True)
class CalibrationReport:
    """What ``calibrate`` has changed: the decision before and after, and how many rows of each kind it read."""

    before: Decision
    after: Decision
    known: int
    unknown: int


def calibrate(
    folder: str | PathLike,
    table: Source,
    known_acceptance: float = DEFAULT_KNOWN_ACCEPTANCE,
    unknown_label: str | None = None,
    engine: str = "auto",
) -> CalibrationReport:
    """Find temperature and threshold of a model folder anew.

    Args:
        folder: what ``train`` has written.
        table: what ``read_table`` takes, of sentences that training has not seen.
        known_acceptance: the share of sentences in scope that is to be accepted; with unknown sentences they choose.
        unknown_label: rows with this label are unknown sentences.
        engine: what computes.

    Raises:
        SettingsError: a multi-label model, or ``unknown_label`` is an intent or no row's label.
        DataError: too few rows, or a label that the model does not know.
        ModelFolderError, DiskError: the folder can't be read or written. What stood there before still stands there.
    """
    check_known_acceptance(known_acceptance)
    ModelFolder(folder)
    table = read_table(table)
    with one_writer(folder):
        opened = ModelFolder(folder)
        before = opened.decision
        if before.multi_label:
            raise SettingsError(f"{folder} is a multi-label model: a threshold for each intent stands for its scope")
        known, unknown = _parted(table, opened, unknown_label)
        check_output_folder(folder)
        if before.scope is None:
            after, sketch, exports = _with_new_scope(opened, known, unknown, float(known_acceptance))
        else:
            predictor, exports = IntentPredictor.load(folder, engine=engine), []
            after, sketch = _decided(predictor, before.scope, known, unknown, float(known_acceptance), opened)
        _write(opened, after, sketch, exports)
    return CalibrationReport(before, after, len(known), len(unknown))


def _parted(
    table: "pd.DataFrame", folder: ModelFolder, unknown_label: str | None
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Sentences in scope and unknown ones."""
    check_unknown_label(unknown_label, table, folder.classes)
    is_unknown = table[INTENT].map(str) == unknown_label
    known = table[~is_unknown]
    strange = known[label_ids(known[INTENT], folder.classes) < 0]
    if len(strange):
        row, label = next(iter(strange[INTENT].items()))
        raise DataError(
            f"{table.attrs.get('source')}, row {row}: the model has no intent {str(label)!r}; if sentences with this "
            f"label are unknown ones, say --unknown-label {label}, else leave them out"
        )
    return known, table[is_unknown]


def _outputs(predictor: IntentPredictor, table: "pd.DataFrame", classes: list) -> tuple[HeldOut, list[list[int]]]:
    """Outputs and labels of the sentences with a word in them, and their ids."""
    from intent_bert.files.progress import progress_bar

    texts, parts = list(table[TEXT]), []
    every_id: list[list[int]] = []
    with progress_bar(len(texts), "computing", "sentence", delay=2, leave=False) as bar:
        for start in range(0, len(texts), 4096):
            ids, outputs = predictor.ids_and_outputs(texts[start : start + 4096])
            wordless = is_wordless(ids)
            every_id += compress(ids, ~wordless)
            labels = label_ids(table[INTENT][start : start + 4096], classes)
            parts.append((*(each[~wordless] for each in outputs), labels[~wordless]))
            bar.update(len(wordless))
    if not parts:
        return HeldOut.none(), []
    *outputs_of_all, labels_of_all = (np.concatenate(part) for part in zip(*parts, strict=True))
    return HeldOut(Outputs(*outputs_of_all), labels_of_all), every_id


def _decided(
    predictor: IntentPredictor,
    scope: Scope,
    known: "pd.DataFrame",
    unknown: "pd.DataFrame",
    known_acceptance: float,
    folder: ModelFolder,
) -> tuple[Decision, Sketch | None]:
    source = Path(str(known.attrs.get("source"))).name
    held_out, ids = _outputs(predictor, known, folder.classes)
    unknown_outputs = _outputs(predictor, unknown, folder.classes)[0].outputs
    former = folder.decision.calibration
    decision = decided(scope, held_out, unknown_outputs, known_acceptance, source, former)
    if decision.threshold is None:
        raise DataError(
            f"{known.attrs.get('source')} has too few sentences in scope, {len(held_out.labels)}, to set a threshold: "
            "give more"
        )
    kinds = token_kinds(predictor.tokenizer.vocab_lines)
    sketch = Sketch.of(observed(ids, held_out.outputs, decision, kinds), len(folder.classes))
    if sketch is None:
        logger.warning(
            "the folder has no sketch of usual sentences now, which drift needs: %d sentences in scope are too few, "
            "%d are needed",
            len(ids),
            LEAST_ROWS,
        )
    return decision, sketch


def _with_new_scope(
    folder: ModelFolder, known: "pd.DataFrame", unknown: "pd.DataFrame", known_acceptance: float
) -> tuple[Decision, Sketch | None, list[str]]:
    """The decision and the sketch of a folder that has no scope, and the exports that must be written again."""
    predictor = IntentPredictor.load(folder.path, engine="keras")
    examples, others = split_off(known, 0.5, seed=0)
    kept = examples.iloc[kept_rows(label_ids(examples[INTENT], folder.classes), len(folder.classes))]
    (outputs, labels), _ = _outputs(predictor, kept, folder.classes)
    scope = Scope.of(outputs, labels, len(folder.classes))
    decision, sketch = _decided(predictor, scope, others, unknown, known_acceptance, folder)
    if decision.calibration is not None and decision.scope is not None:
        logger.info("half of the sentences stand for what is in scope from now on, the other half set the threshold")
    from intent_bert.export.exports import exports_without_layers

    return decision, sketch, exports_without_layers(folder)


def _write(folder: ModelFolder, decision: Decision, sketch: Sketch | None, exports: list[str]) -> None:
    """Put decision and sketch into the folder and its card, and write exports that lack what they need again."""
    left_out = [name for export in exports for name in (export, check_name(export))]
    with replacement(folder.path, checked=True) as work:
        link_own_files(folder.path, work, but=(CONFIG_FILE, SCOPE_FILE, SKETCH_FILE, CARD_FILE, *left_out))
        assert decision.scope is not None
        np.savez(work / SCOPE_FILE, allow_pickle=False, **decision.scope.arrays())
        names = [SCOPE_FILE]
        if sketch is not None:
            names += [write_sketch(work, sketch)]
        if exports:
            from intent_bert.export.exports import write_exports_again

            names += write_exports_again(folder, work, exports)
        card = folder.path / CARD_FILE
        if card.is_file():
            text = card.read_text(encoding="utf-8", errors="replace")
            (work / CARD_FILE).write_text(with_trust(text, decision), encoding="utf-8")
        anew = (SKETCH_FILE, *exports)
        kept = {file: sha256 for file, sha256 in folder.config["sha256"].items() if file.split("/")[0] not in anew}
        write_config(work, {**folder.config, "decision": decision.to_dict(), "sha256": kept}, names)


def described(decision: Decision) -> str:
    """The decision in a line."""
    temperature = "none" if decision.calibration is None else f"{decision.calibration.temperature:.3f}"
    threshold = "none" if decision.threshold is None else f"{decision.threshold:.3f}"
    line = f"temperature {temperature}   threshold {threshold}"
    found = decision.scope.threshold if decision.scope is not None else None
    if found is not None and found.interval is not None:
        low, high = found.interval
        line += f"   accepts {found.known_acceptance:.1%} of the sentences in scope ({low:.1%} to {high:.1%})"
    return line
