"""Which of these unlabelled sentences to label next: unsure, typical, and unlike each other.

    unsure    the margin between the two likeliest intents is small (multi-label: a probability is near its threshold)
    unlike    k-means over the vectors of the unsure ones, as many centres as sentences are asked for, each sentence
              weighted by how unsure the model is of it (Zhdanov 2019, arXiv 1901.05954)
    typical   of each centre's sentences the one that is nearest to it

Only the unsurest sentences seen so far are held, ten for each that is asked for, so a table may be of any length. How a
table that was filled in comes to the labelled ones is told in merging.py.
"""

import re
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from intent_bert.config import TEXT, check_count
from intent_bert.errors import DataError
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import NO_INTENT, is_wordless
from intent_bert.workbench.sentences import Sentence, Sentences, chunks, name_of, sentences_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("row", "text", "guess", "confidence", "runner_up", "in_scope", "intent")
CANDIDATES = 10  # unsure sentences for each that is asked for
_SIGNS = re.compile(r"[\W_]+")


class _Candidate(NamedTuple):
    sentence: Sentence
    unsure: float
    guess: str
    confidence: float
    runner_up: str
    in_scope: bool | None
    vector: np.ndarray


def suggest(
    folder: str | PathLike,
    table: Sentences,
    number: int,
    *,
    text_column: str = TEXT,
    labelled: "Sentences | None" = None,
    engine: str = "auto",
    seed: int = 0,
    verbose: int = 0,
) -> "pd.DataFrame":
    """Choose the sentences that teach a model most.

    Args:
        folder: a model folder.
        table: unlabelled sentences: a path, a DataFrame or a list of texts.
        number: how many to choose.
        text_column: the name of the column with the sentences, of both tables.
        labelled: a table whose sentences have labels already: they are left out.
        engine: what computes.
        seed: of k-means.
        verbose: 1 shows progress on stderr where it takes over two seconds.

    Returns:
        A row for each chosen sentence, the unsurest first: row (its number in the table), text, guess (the model's),
        confidence, runner_up, in_scope (None where the model can't tell), intent (empty, to be filled in). Of sentences
        that differ in capitals, signs and spaces alone there is one; there are fewer rows where the table has no more.

    Raises:
        DataError: the table can't be read, or nothing in it is left to label.
        SettingsError: ``number`` is below 1.
        ModelFolderError: the folder can't be used.
    """
    import pandas as pd

    number = check_count("number", number)
    predictor = IntentPredictor.load(folder, engine=engine)
    known = {_evened(each.text) for each in sentences_of(labelled, text_column)} if labelled is not None else set()
    candidates = _candidates(predictor, sentences_of(table, text_column), known, CANDIDATES * number, verbose)
    if not candidates:
        raise DataError(f"{name_of(table)} has nothing left to label: each of its sentences has a label, or no word")
    unsure = np.array([each.unsure for each in candidates])
    chosen = choose(unsure, np.stack([each.vector for each in candidates]), number, seed)
    rows = [
        (each.sentence.row, each.sentence.text, each.guess, each.confidence, each.runner_up, each.in_scope, "")
        for each in (candidates[place] for place in chosen)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def choose(unsure: np.ndarray, vectors: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """Places of the sentences to label, the unsurest first, int64 (at most ``number``,).

    Args:
        unsure: how unsure the model is of each sentence, float (N,), from 0 on.
        vectors: float (N, F); without columns the unsurest are taken.
        number: how many.
        seed: of k-means.
    """
    unsurest = np.argsort(-unsure, kind="stable")[: CANDIDATES * number]
    if len(unsurest) <= number or not vectors.shape[1]:
        return unsurest[:number]
    from sklearn.cluster import KMeans

    rows = vectors[unsurest].astype("float32")
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    weights = np.maximum(unsure[unsurest], 1e-3 * max(float(unsure.max()), 1e-9))
    found = KMeans(number, n_init=1, max_iter=30, random_state=seed).fit(rows, sample_weight=weights)
    distances = np.linalg.norm(rows - found.cluster_centers_[found.labels_], axis=1)
    nearest = np.lexsort((distances, found.labels_))
    firsts = nearest[np.unique(found.labels_[nearest], return_index=True)[1]]
    if len(firsts) < number:  # some centres share one place: sentences alike
        others = np.setdiff1d(np.arange(len(unsurest)), firsts)
        firsts = np.concatenate([firsts, others[: number - len(firsts)]])
    return unsurest[np.sort(firsts)]


def margins(probabilities: np.ndarray) -> np.ndarray:
    """How unsure probabilities (N, C) are, float (N,): 1 less the margin between the two likeliest intents."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return 1 - (two[:, 1] - two[:, 0])


def _candidates(
    predictor: IntentPredictor, sentences: Iterable[Sentence], known: set[str], most: int, verbose: int
) -> list[_Candidate]:
    """The unsurest sentences, no two alike, the unsurest first."""
    kept: dict[str, _Candidate] = {}
    for chunk in chunks(sentences, "looking for sentences" if verbose else None):
        for each in _looked_at(predictor, chunk):
            name = _evened(each.sentence.text)
            if name not in known and name not in kept:
                kept[name] = each
        if len(kept) > most:
            order = sorted(kept, key=lambda name: -kept[name].unsure)
            kept = {name: kept[name] for name in order[:most]}
    return sorted(kept.values(), key=lambda each: -each.unsure)


def _looked_at(predictor: IntentPredictor, chunk: list[Sentence]) -> Iterable[_Candidate]:
    ids, outputs = predictor.ids_and_outputs([each.text for each in chunk])
    wordless, decision = is_wordless(ids), predictor.decision
    predictions = decision.predictions(outputs, wordless)
    probabilities, threshold = predictions.probabilities, decision.threshold
    chosen = decision.chosen(predictions)
    if predictor.multi_label:
        unsure = 1 - np.abs(probabilities - np.array(decision.thresholds)).min(axis=1)  # type: ignore[attr-defined]
    else:
        unsure = margins(probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    classes = [str(each) for each in predictor.classes]
    for place, sentence in enumerate(chunk):
        if wordless[place]:
            continue
        has = [classes[each] for each in order[place] if chosen[place, each]]
        others = [classes[each] for each in order[place] if not chosen[place, each]]
        best = order[place, 0] if predictions.numbers[place] == NO_INTENT else predictions.numbers[place]
        score = predictions.scores[place]
        yield _Candidate(
            sentence,
            float(unsure[place]),
            predictor.label_separator.join(has),
            round(float(probabilities[place, best]), 4),
            others[0] if others else "",
            None if threshold is None or np.isnan(score) else bool(score >= threshold),
            outputs.vectors[place],
        )


def _evened(text: str) -> str:
    """A text without capitals, signs and spaces; one of signs alone stays as it is."""
    return _SIGNS.sub(" ", text.casefold()).strip() or text
