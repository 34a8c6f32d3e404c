"""Which columns a file of predictions has: those kept of the input, then the prediction's own.

    id,text  ->  id,text,intent,confidence                                 csv, tsv and Parquet
                 and intent_2,confidence_2 ...                             of top_k
                 and in_scope,in_scope_score                               of reject
                 and intents, before intent                                of a multi-label model
             ->  {id, text, intent, confidence, in_scope, in_scope_score, intent_ranking}       JSON lines

A column of the input that is called as one of the prediction's is left out. How rows become bytes is
prediction_formats.py's business.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from intent_bert.data.cells import shown_name
from intent_bert.data.label_sets import joined
from intent_bert.data.rows import Row, RowReader
from intent_bert.errors import DataError, SettingsError, nearest
from intent_bert.inference.prediction_formats import LABELS
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import Prediction

logger = logging.getLogger("intent_bert")

JSON_NAMES = ("text", "intent", "confidence", "intents", "in_scope", "in_scope_score", "intent_ranking")


@dataclass(frozen=True)
class Layout:
    """The columns of one output.

    Attributes:
        text_column: the input's column with the sentences.
        kept: those of the input that are kept, each with the kinds of its values; None from JSON lines to JSON lines:
            whatever a line holds.
        suffix: that of the output.
        top_k: how many intents are named.
        separator: joins the intents of a multi-label model; None for any other.
        reject: whether flat files say what is in scope.
    """

    text_column: str
    kept: dict[str, Any] | None
    suffix: str
    top_k: int
    separator: str | None
    reject: bool

    @classmethod
    def of(
        cls,
        predictor: IntentPredictor,
        rows: RowReader,
        text_column: str,
        columns: Sequence[str] | None,
        suffix: str,
        top_k: int,
        reject: bool,
    ) -> Self:
        """The layout of a file for these rows; ``columns`` names those that are kept, None keeps all.

        Raises:
            DataError: the input has no such column.
            SettingsError: the prediction has a column of that name.
        """
        separator = predictor.label_separator if predictor.multi_label else None
        layout = cls(text_column, {}, suffix, min(top_k, len(predictor.classes)), separator, reject)
        if columns is None and suffix == ".jsonl" and rows.path.suffix.lower() == ".jsonl":
            layout._without_clashes(rows.columns, rows.path)
            return replace(layout, kept=None)
        there = {name: kinds for name, kinds in _columns_of(rows).items() if name != text_column}
        if columns is None:
            names = layout._without_clashes(there, rows.path)
        else:
            names = layout._checked(columns, there, rows.path)
        return replace(layout, kept={name: there[name] for name in names})

    @cached_property
    def own(self) -> frozenset[str]:
        """The names of the prediction's columns."""
        if self.suffix != ".jsonl":
            return frozenset(self._own_types(()))
        return frozenset(name for name in JSON_NAMES if name != "intents" or self.separator is not None)

    def _without_clashes(self, columns: Iterable[str], path: Path) -> list[str]:
        """The columns that are called otherwise than the prediction's; a word of those that are not."""
        others = [name for name in columns if name != self.text_column]
        clashes = [name for name in others if name in self.own]
        if clashes:
            logger.warning(
                "%s of %s is not kept, for the prediction has a column of that name: rename yours to keep it",
                ", ".join(clashes), path.name,
            )  # fmt: skip
        return [name for name in others if name not in clashes]

    def _checked(self, columns: Sequence[str], there: Iterable[str], path: Path) -> list[str]:
        """The columns that were asked for."""
        asked, there = [name for name in dict.fromkeys(columns) if name != self.text_column], list(there)
        for name in asked:
            if name not in there:
                guess = f"did you mean {nearest(name, there)}? " if there else ""
                raise DataError(
                    f"{path} has no column {name!r} to keep: {guess}(besides the texts it has "
                    f"{', '.join(map(shown_name, there)) or 'none'})"
                )
            if name in self.own:
                raise SettingsError(
                    f"can't keep the column {name!r} of {path}: the prediction has a column of that name; rename yours"
                )
        return asked

    def read(self, rows: RowReader) -> Iterator[Row]:
        if self.kept is not None:
            rows.select(self.text_column, *self.kept)
        return rows.with_text(self.text_column)

    def types(self, classes: Sequence[Any]) -> dict[str, Any]:
        """Each column of a flat output with the kinds of its values, or with its Arrow type."""
        return {**(self.kept or {}), **self._own_types(classes)}

    def _own_types(self, classes: Sequence[Any]) -> dict[str, Any]:
        types: dict[str, Any] = {"text": {str}}
        if self.separator is not None:
            types["intents"] = LABELS
        for behind in self._numbered():
            types |= {f"intent{behind}": {type(label) for label in classes}, f"confidence{behind}": {float}}
        return types | ({"in_scope": {bool}, "in_scope_score": {float}} if self.reject else {})

    def _numbered(self) -> list[str]:
        return ["", *(f"_{number}" for number in range(2, self.top_k + 1))]

    def prediction(self, row: Row, prediction: Prediction) -> dict[str, Any]:
        """A row of the output; of a multi-label model flat ones name the intents that it has, not the likeliest."""
        several = self.separator is not None
        text = row.values[self.text_column]
        if self.kept is None:
            names = [name for name in row.values if name != self.text_column and name not in self.own]
        else:
            names = list(self.kept)
        kept = {name: row.values.get(name) for name in names}
        if self.suffix == ".jsonl":
            return as_object(text, prediction, kept, several)
        best: dict[str, Any] = {}
        if self.separator is not None:
            intents = [str(each.intent) for each in prediction.intents]
            best["intents"] = intents if self.suffix == ".parquet" else joined(intents, self.separator)
        named = [prediction.answer, *(prediction.intents if several else prediction.ranking)[1:]]
        for behind, each in zip(self._numbered(), named, strict=False):
            confidence = float(each.confidence) if self.suffix == ".parquet" else f"{each.confidence:.6f}"
            best |= {f"intent{behind}": each.intent, f"confidence{behind}": confidence}
        if self.reject:
            best |= {"in_scope": prediction.in_scope, "in_scope_score": prediction.score}
        return {**kept, "text": text, **best}


def as_object(text: str, prediction: Prediction, kept: Mapping[str, Any], several: bool) -> dict[str, Any]:
    """What a JSON line says; ``several`` names all intents that a multi-label model gives as well."""
    answer, score = prediction.answer, prediction.score  # not rounded, for it is compared with the threshold
    values: dict[str, Any] = {**kept, "text": text, "intent": answer.intent, "confidence": round(answer.confidence, 6)}
    if several:
        values["intents"] = [each.intent for each in prediction.intents]
    values |= {"in_scope": prediction.in_scope, "in_scope_score": score}
    names = [{"name": each.intent, "confidence": round(each.confidence, 6)} for each in prediction.ranking]
    return {**values, "intent_ranking": names}


def _columns_of(rows: RowReader) -> dict[str, Any]:
    """The columns of a file, each with the kinds of its values or with its Arrow type."""
    suffix = rows.path.suffix.lower()
    if suffix == ".jsonl":
        return _kinds(rows.path)
    if suffix == ".parquet":
        types = _arrow_types(rows.path)
        return {name: types.get(name, {str}) for name in rows.columns}
    return {name: {str} for name in rows.columns}


def _kinds(path: Path) -> dict[str, set[type]]:
    """What only a look at all lines of a file of JSON tells."""
    kinds: dict[str, set[type]] = {}
    for row in RowReader(path, on_error="skip"):
        for name, value in row.values.items():
            kind = type(value)
            kinds.setdefault(name, set()).add(str if kind is int and abs(value) >= 1 << 63 else kind)
    return kinds


def _arrow_types(path: Path) -> dict[str, Any]:
    from pyarrow import parquet, types

    return {
        field.name: field.type.value_type if types.is_dictionary(field.type) else field.type
        for field in parquet.read_schema(path)
    }
