"""Are new sentences unlike the usual ones? A table against the sketch that the model folder keeps; week by week, too.

    table -> chunks -> observed -> a profile for each period    bounded memory, however long the table is
    profile, sketch -> tests -> Holm over all of them -> Drift   more than chance, and more than a trifle

What is looked at: the predicted intents, confidence, the score of scope, the share that is refused, length, words that
the vocabulary doesn't have whole (PSI each, against the sketch's histogram), and the vectors (energy distance). The
statistics are in two_samples.py, what the sketch holds is told in model/sketch.py. Nothing here draws.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import TEXT
from intent_bert.data.cells import shown
from intent_bert.errors import DataError, ModelFolderError, SettingsError
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.folder import ModelFolder, replace_sketch
from intent_bert.model.sketch import LEAST_ROWS, MOST_VECTORS, Observed, Profile, Sketch, observed, token_kinds
from intent_bert.workbench.sentences import Sentence, Sentences, chunks, name_of, sentences_of
from intent_bert.workbench.two_samples import TwoSamples, energy_test, histogram_test, holm

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("intent_bert")

ALL = "all"  # the period that every row is in
VECTORS = "vectors"
FALSE_ALARMS = 0.01
LEAST_EFFECTS = {"refused": 0.02, VECTORS: 0.01}  # less is a trifle
LEAST_PSI = 0.1
_CHANGES = 3  # cells that are named
_MOST_LEARNT = 20_000  # rows that a sketch is made of


@dataclass(frozen=True, eq=False)
class Drift:
    """What ``detect_drift`` has found.

    Attributes:
        found: whether the sentences have drifted, over all or in a period.
        tests: a row for each period and each thing that was looked at: period, rows, what, effect (PSI, or the energy
            distance of the vectors), least_effect, p_value, adjusted_p_value, drifted; numbers are missing where a
            period has too few rows to tell.
        changes: of the histograms that have drifted the cells that changed most: period, what, cell, usual, new.
        histograms: all cells, over all rows: what, cell, usual, new (shares).
        false_alarms: how often a table without drift raises an alarm, at most.
    """

    found: bool
    tests: "pd.DataFrame"
    changes: "pd.DataFrame"
    histograms: "pd.DataFrame"
    false_alarms: float

    def to_dict(self) -> dict[str, Any]:
        """As ``drift --json`` prints it."""
        tests = self.tests.astype(object).where(self.tests.notna(), None)
        return {
            "drift": self.found,
            "false_alarms": self.false_alarms,
            "tests": tests.to_dict("records"),
            "changes": self.changes.to_dict("records"),
        }


def detect_drift(
    folder: str | PathLike,
    table: Sentences,
    *,
    text_column: str = TEXT,
    date_column: str | None = None,
    false_alarms: float = FALSE_ALARMS,
    engine: str = "auto",
    seed: int = 0,
    verbose: int = 0,
) -> Drift:
    """Compare sentences with those that a model was made for.

    Args:
        folder: a model folder with a sketch: ``train`` leaves one where rows are held out, ``learn_usual`` adds one.
        table: a path, a DataFrame or a list of texts; labels are not needed.
        text_column: the name of the column with the sentences.
        date_column: a column of dates (ISO 8601, or a Parquet file's own); each week is compared as well.
        false_alarms: how often a table without drift may raise an alarm.
        engine: what computes.
        seed: of the permutations.
        verbose: 1 shows progress on stderr where it takes over two seconds.

    Raises:
        ModelFolderError: no such folder, or one without a sketch.
        DataError: the table can't be read, has a date that is none, or fewer than 50 rows.
        SettingsError: ``false_alarms`` is no share.
    """
    if not 0 < false_alarms < 1:
        raise SettingsError(f"false_alarms must be a share between 0 and 1, not {false_alarms!r}")
    sketch = _sketch_of(folder)
    predictor = IntentPredictor.load(folder, engine=engine)
    periods = _profiles(predictor, sketch, table, text_column, date_column, seed, verbose)
    rows = _rows(periods[ALL])
    if rows < LEAST_ROWS:
        raise DataError(
            f"{name_of(table)} has {rows} sentences, too few to tell drift: give {LEAST_ROWS} at least, 500 tell more"
        )
    return compared(sketch, periods, [str(each) for each in predictor.classes], false_alarms, seed)


def learn_usual(
    folder: str | PathLike, table: Sentences, *, text_column: str = TEXT, engine: str = "auto", verbose: int = 0
) -> int:
    """Keep a sketch of these sentences in the model folder: later ones are compared with them from now on.

    They are to be like those that the model is made for, and training must not have seen them. Of more than 20,000 the
    first count. The model itself stays as it is.

    Returns:
        How many sentences the sketch tells of.

    Raises:
        DataError: the table can't be read, or has fewer than 50 rows.
        ModelFolderError, DiskError: the folder can't be read or written. What stood there before still stands there.
    """
    predictor = IntentPredictor.load(folder, engine=engine)
    parts: list[Observed] = []
    rows = 0
    kinds = token_kinds(predictor.tokenizer.vocab_lines)
    for chunk in chunks(sentences_of(table, text_column), "learning" if verbose else None):
        parts.append(_observed(predictor, chunk, kinds))
        rows += len(chunk)
        if rows >= _MOST_LEARNT:
            break
    refused = [each.refused for each in parts if each.refused is not None]
    every = zip(*(each._replace(refused=None) for each in parts), strict=True)
    joined = Observed(*(None if any(each is None for each in part) else np.concatenate(part) for part in every))  # type: ignore[arg-type]
    joined = joined._replace(refused=np.concatenate(refused) if refused else None)
    sketch = Sketch.of(joined, len(predictor.classes))
    if sketch is None:
        raise DataError(f"{name_of(table)} has {rows} sentences, too few to tell what is usual: give {LEAST_ROWS}")
    replace_sketch(ModelFolder(folder), sketch)
    return rows


def _sketch_of(folder: str | PathLike) -> Sketch:
    sketch = ModelFolder(folder).sketch
    if sketch is None:
        raise ModelFolderError(
            f"{folder} has no sketch of usual sentences to compare with: intent-bert drift {folder} USUAL --learn adds "
            "one, where USUAL is a table of sentences as it was made for that training has not seen"
        )
    return sketch


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass
class _Gathered:
    """The profile of a period as it grows; of its vectors a random choice is kept."""

    counts: dict[str, np.ndarray]
    vectors: np.ndarray
    keys: np.ndarray

    def add(self, part: Profile, keys: np.ndarray) -> None:
        for name, counts in part.counts.items():
            self.counts[name] = self.counts.get(name, 0) + counts
        if len(part.vectors):
            vectors, every = np.concatenate([self.vectors, part.vectors]), np.concatenate([self.keys, keys])
            kept = np.argsort(every, kind="stable")[:MOST_VECTORS]
            self.vectors, self.keys = vectors[kept], every[kept]


def _profiles(
    predictor: IntentPredictor,
    sketch: Sketch,
    table: Sentences,
    text_column: str,
    date_column: str | None,
    seed: int,
    verbose: int,
) -> dict[str, Profile]:
    """The profile of all rows, and of each week's."""
    rng = np.random.default_rng(seed)
    kinds = token_kinds(predictor.tokenizer.vocab_lines)
    gathered: dict[str, _Gathered] = {}

    def add(period: str, part: Observed, keys: np.ndarray) -> None:
        profile = sketch.profile(part)
        nothing = _Gathered({}, profile.vectors[:0], keys[:0])
        gathered.setdefault(period, nothing).add(profile, keys)

    for chunk in chunks(sentences_of(table, text_column, date_column), "comparing" if verbose else None):
        part, keys = _observed(predictor, chunk, kinds), rng.random(len(chunk))
        add(ALL, part, keys)
        if date_column is not None:
            weeks = np.array([_week(each, name_of(table), date_column) for each in chunk])
            for week in sorted(set(weeks.tolist())):
                its = weeks == week
                add(week, Observed(*(None if each is None else each[its] for each in part)), keys[its])  # type: ignore[arg-type]
    ordered = [ALL, *sorted(set(gathered) - {ALL})]
    return {name: Profile(gathered[name].counts, gathered[name].vectors) for name in ordered}


def _observed(predictor: IntentPredictor, chunk: list[Sentence], kinds: np.ndarray) -> Observed:
    ids, outputs = predictor.ids_and_outputs([each.text for each in chunk])
    return observed(ids, outputs, predictor.decision, kinds)


def _week(sentence: Sentence, name: str, column: str) -> str:
    """The Monday of a row's week."""
    value = sentence.other
    try:
        day = value if isinstance(value, date) else datetime.fromisoformat(str(value).strip())
        monday = day - timedelta(days=day.weekday())
        return monday.strftime("%Y-%m-%d")
    except (ValueError, OverflowError, TypeError):
        raise DataError(
            f"{name}, row {sentence.row}, column {column!r}: expected a date such as 2026-03-31, found {shown(value)}"
        ) from None


# --- comparing ---------------------------------------------------------------------------------------------------


def compared(sketch: Sketch, periods: dict[str, Profile], classes: list[str], false_alarms: float, seed: int) -> Drift:
    """Every test of every period with rows enough; half of the false alarms are for all rows, half for the weeks."""
    import pandas as pd

    records: list[dict[str, Any]] = []
    for number, (period, profile) in enumerate(periods.items()):
        most = _permutations(sketch, len(periods), false_alarms)
        tests = _tests(sketch, profile, np.random.default_rng([seed, number]), most)
        for what, found in tests.items():
            effect, p_value = (None, None) if found is None else found
            least = LEAST_EFFECTS.get(what, LEAST_PSI)
            shared = {"period": period, "rows": _rows(profile), "what": what}
            records.append({**shared, "effect": effect, "least_effect": least, "p_value": p_value})
    tests = pd.DataFrame(records).astype({"effect": "float64", "p_value": "float64"})
    tests["adjusted_p_value"] = np.nan
    told = tests["p_value"].notna()
    whole = tests["period"] == ALL
    share = 2.0 if len(periods) > 1 else 1.0
    for family in (told & whole, told & ~whole):
        if family.any():
            adjusted = np.minimum(share * holm(tests.loc[family, "p_value"].to_numpy()), 1.0)
            tests.loc[family, "adjusted_p_value"] = adjusted
    tests["drifted"] = (tests["adjusted_p_value"] <= false_alarms) & (tests["effect"] >= tests["least_effect"])
    drifted = [(row["period"], row["what"]) for row in tests.to_dict("records") if row["drifted"]]
    changes = [
        {"period": period, **cell}
        for period, what in drifted
        for cell in most_changed(cells_of(sketch, periods[period], what, classes))
    ]
    cells = [cell for what in sketch.usual.counts for cell in cells_of(sketch, periods[ALL], what, classes)]
    columns = ["what", "cell", "usual", "new"]
    return Drift(
        bool(drifted),
        tests,
        pd.DataFrame(changes, columns=["period", *columns]),
        pd.DataFrame(cells, columns=columns),
        false_alarms,
    )


def _tests(
    sketch: Sketch, profile: Profile, rng: np.random.Generator, most_permutations: int
) -> dict[str, TwoSamples | None]:
    """What each test finds; None where there are too few rows to tell."""
    enough = _rows(profile) >= LEAST_ROWS
    found: dict[str, TwoSamples | None] = {}
    for what, usual in sketch.usual.counts.items():
        new = profile.counts.get(what)
        found[what] = histogram_test(usual, new) if enough and new is not None else None
    found[VECTORS] = None
    if enough and len(profile.vectors) and len(sketch.usual.vectors):
        found[VECTORS] = energy_test(sketch.usual.vectors, profile.vectors, rng, most_permutations)
    return found


def _permutations(sketch: Sketch, periods: int, false_alarms: float) -> int:
    """Permutations enough for an alarm by one test alone, were all others silent."""
    tests = (len(sketch.usual.counts) + 1) * max(periods - 1, 1) * (2 if periods > 1 else 1)
    return int(np.clip(2 * tests / false_alarms, 1000, 100_000))


def _rows(profile: Profile) -> int:
    return int(profile.counts["intents"].sum())


def cells_of(sketch: Sketch, profile: Profile, what: str, classes: list[str]) -> list[dict[str, Any]]:
    """The cells of a histogram, each with its usual share and its new one; of vectors there are none."""
    if what == VECTORS or what not in profile.counts:
        return []
    usual, new = (each.counts[what] / max(each.counts[what].sum(), 1) for each in (sketch.usual, profile))
    names = [cell_name(what, cell, sketch, classes) for cell in range(len(usual))]
    shares = zip(names, usual.round(4).tolist(), new.round(4).tolist(), strict=True)
    return [{"what": what, "cell": name, "usual": before, "new": now} for name, before, now in shares]


def most_changed(cells: list[dict[str, Any]], number: int = _CHANGES) -> list[dict[str, Any]]:
    """The cells whose shares changed most, the most changed first."""
    return sorted(cells, key=lambda cell: -abs(cell["new"] - cell["usual"]))[:number]


def cell_name(what: str, cell: int, sketch: Sketch, classes: list[str]) -> str:
    """What a cell of a histogram holds: an intent, or numbers from ... to below ..."""
    if what == "intents":
        return "no word" if cell == 0 else classes[cell - 1]
    if what == "refused":
        return ("in scope", "refused")[cell]
    edges = [f"{edge:.3g}" for edge in sketch.edges[what]]
    if what == "unknown words":
        edges[0] = "0"
    if cell == 0:
        return "none" if what == "unknown words" else f"below {edges[0]}" if edges else "any"
    return f"{edges[cell - 1]} to {edges[cell]}" if cell < len(edges) else f"{edges[cell - 1]} and more"
