"""Groups among the sentences that a model does not know: what people say that no intent was planned for.

    table -> refused sentences (out of scope) -> vectors -> Ward's tree -> cut where the silhouette is best -> groups

A group is told by its typical sentences, by words that are frequent in it and rare in the whole table (tf-idf), and by
the known intent that it is nearest to. Nobody says how many groups there are. What comes of groups that were given a
name is told in merging.py.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from intent_bert.config import TEXT
from intent_bert.errors import DataError, SettingsError
from intent_bert.files.tables_out import csv_text
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import is_wordless
from intent_bert.model.outputs import Outputs, unit_rows
from intent_bert.workbench.merging import GROUP, GROUPS_FILE, SENTENCES_FILE
from intent_bert.workbench.sentences import Sentence, Sentences, chunks, name_of, sentences_of

if TYPE_CHECKING:
    import pandas as pd

LEAST_REFUSED = 10  # sentences that can be grouped
MOST_GROUPED = 4000  # that the tree is made of; further ones go to the nearest group
LEAST_IN_A_GROUP = 3
USUAL_SIZE = 10  # of a group at least, on average: the silhouette alone likes pairs best
ALONE = 0  # in place of a group's number
_TYPICAL, _KEY_WORDS = 3, 5
_CUTS = 24  # numbers of groups that are tried
_MOST_WORDS = 200_000  # that are counted; beyond, those of one sentence are forgotten
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, eq=False)
class Discovery:
    """What ``discover`` has found.

    Attributes:
        rows, refused: how many sentences there were, and how many of them the model refuses.
        groups: a row for each group, the largest first: group (its number), size, intent (empty, to be filled in),
            key_words, nearest_intent, similarity, typical_1 to typical_3.
        sentences: a row for each refused sentence, group by group, the most typical first; group 0 is those that are in
            no group: group, row, text, nearest_intent.
    """

    rows: int
    refused: int
    groups: "pd.DataFrame"
    sentences: "pd.DataFrame"

    @property
    def alone(self) -> int:
        """How many refused sentences are in no group."""
        return int((self.sentences[GROUP] == ALONE).sum())

    def files(self, *, guard_formulas: bool = False) -> dict[str, str]:
        """``groups.csv`` and ``sentences.csv``: name -> text."""
        frames = {GROUPS_FILE: self.groups, SENTENCES_FILE: self.sentences}
        return {
            name: csv_text([list(frame.columns), *frame.itertuples(index=False)], guard_formulas=guard_formulas)
            for name, frame in frames.items()
        }


def discover(
    folder: str | PathLike,
    table: Sentences,
    *,
    text_column: str = TEXT,
    engine: str = "auto",
    seed: int = 0,
    verbose: int = 0,
) -> Discovery:
    """Group the sentences that a model refuses.

    Args:
        folder: a model folder that can tell which sentences are in scope.
        table: a path, a DataFrame or a list of texts; labels are not needed.
        text_column: the name of the column with the sentences.
        engine: what computes.
        seed: of which sentences make the groups where there are more than 4,000.
        verbose: 1 shows progress on stderr where it takes over two seconds.

    Raises:
        SettingsError: the model can't tell which sentences are in scope.
        DataError: the table can't be read, or too few of its sentences are refused.
        ModelFolderError: the folder can't be used.
    """
    predictor = IntentPredictor.load(folder, engine=engine)
    predictor.check_threshold()
    counts, refused, outputs = _refused(predictor, table, text_column, verbose)
    if not outputs.vectors.shape[1]:
        raise SettingsError(
            f"the engine {predictor.engine!r} of {folder} gives no vectors: intent-bert export {folder}"
        )
    if len(refused) < LEAST_REFUSED:
        raise DataError(
            f"the model refuses {len(refused)} of the {counts.rows} sentences of {name_of(table)}, too few to tell "
            f"groups: {LEAST_REFUSED} are needed"
        )
    vectors = grouping_vectors(outputs)
    groups = grouped(vectors, seed)
    return _described(counts, refused, vectors, groups, outputs, [str(each) for each in predictor.classes])


def _refused(
    predictor: IntentPredictor, table: Sentences, text_column: str, verbose: int
) -> tuple["WordCounts", list[Sentence], Outputs]:
    """The words of all sentences, the sentences out of scope, and what the model computes for these."""
    counts, refused, parts = WordCounts(), [], []
    for chunk in chunks(sentences_of(table, text_column), "looking for unknown sentences" if verbose else None):
        ids, outputs = predictor.ids_and_outputs([each.text for each in chunk])
        wordless = is_wordless(ids)
        scores = predictor.decision.predictions(outputs, wordless).scores
        out = (scores < predictor.decision.threshold) & ~wordless
        counts.add(each.text for each in chunk)
        refused += [sentence for sentence, is_out in zip(chunk, out, strict=True) if is_out]
        parts.append([each[out] for each in outputs])
    return counts, refused, Outputs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


# --- grouping ----------------------------------------------------------------------------------------------------


def grouping_vectors(outputs: Outputs) -> np.ndarray:
    """What sentences are grouped by, float32 (N, F + 2H): the tuned vector and two lower layers, of one length each.

    The tuned vector tells known intents apart and may lay unknown ones together; the lower layers tell which words
    stand in a sentence.
    """
    spaces = [outputs.vectors, *np.split(outputs.layers, 2, axis=1)]
    return unit_rows(np.concatenate([unit_rows(each - each.mean(axis=0)) for each in spaces if each.shape[1]], axis=1))


def grouped(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """The group of each of N vectors of length 1, int64 (N,), from 1 on, the largest first; ``ALONE`` for the rest."""
    chosen = np.arange(len(vectors))
    if len(vectors) > MOST_GROUPED:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MOST_GROUPED])
    found = _best_cut(vectors[chosen].astype("float64"))
    centers = np.stack([vectors[chosen[found == number]].mean(axis=0) for number in range(found.max() + 1)])
    groups = (vectors @ unit_rows(centers).T).argmax(axis=1) if len(chosen) < len(vectors) else found
    sizes = np.bincount(groups, minlength=len(centers))
    order = np.argsort(-sizes, kind="stable")
    numbers = np.empty(len(sizes), "int64")
    numbers[order] = np.arange(1, len(sizes) + 1)
    numbers[sizes < LEAST_IN_A_GROUP] = ALONE
    return numbers[groups]


def _best_cut(vectors: np.ndarray) -> np.ndarray:
    """Ward's tree, cut into as many groups as have the best silhouette: numbers from 0 on, (N,)."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from sklearn.metrics import silhouette_score
    from sklearn.metrics.pairwise import cosine_distances

    tree, distances = linkage(vectors, "ward"), cosine_distances(vectors)
    np.fill_diagonal(distances, 0)
    most = max(len(vectors) // USUAL_SIZE, int(len(vectors) ** 0.5), 2)
    best, found = -1.0, np.zeros(len(vectors), "int64")
    for number in np.unique(np.geomspace(2, most, _CUTS).round().astype(int)):
        groups = fcluster(tree, int(number), "maxclust") - 1
        if 1 < groups.max() + 1 < len(vectors):
            score = silhouette_score(distances, groups, metric="precomputed")
            if score > best:
                best, found = score, groups.astype("int64")
    return found


# --- telling -----------------------------------------------------------------------------------------------------


def _described(
    counts: "WordCounts",
    refused: list[Sentence],
    vectors: np.ndarray,
    groups: np.ndarray,
    outputs: Outputs,
    classes: list[str],
) -> Discovery:
    import pandas as pd

    texts = [each.text for each in refused]
    nearest = outputs.logits.argmax(axis=1)
    probabilities = np.exp(outputs.logits - outputs.logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    records: list[dict[str, Any]] = []
    lines: list[tuple[int, Any, str, str]] = []
    numbers = [int(each) for each in np.unique(groups) if each != ALONE]
    for number in [*numbers, *([ALONE] if (groups == ALONE).any() else [])]:
        members = np.flatnonzero(groups == number)
        closeness = vectors[members] @ unit_rows(vectors[members].mean(axis=0, keepdims=True))[0]
        members = members[np.argsort(-closeness, kind="stable")]
        lines += [(number, refused[each].row, texts[each], classes[nearest[each]]) for each in members]
        if number == ALONE:
            continue
        mean = probabilities[members].mean(axis=0)
        typical = [*dict.fromkeys(texts[each] for each in members)][:_TYPICAL]
        typical += [""] * (_TYPICAL - len(typical))
        records.append(
            {
                GROUP: number,
                "size": len(members),
                "intent": "",
                "key_words": ", ".join(counts.key_words([texts[each] for each in members])),
                "nearest_intent": classes[mean.argmax()],
                "similarity": round(float(mean.max()), 4),
                **{f"typical_{place}": text for place, text in enumerate(typical, start=1)},
            }
        )
    columns = [GROUP, "size", "intent", "key_words", "nearest_intent", "similarity"]
    columns += [f"typical_{place}" for place in range(1, _TYPICAL + 1)]
    return Discovery(
        counts.rows,
        len(refused),
        pd.DataFrame(records, columns=columns),
        pd.DataFrame(lines, columns=[GROUP, "row", "text", "nearest_intent"]),
    )


class WordCounts:
    """In how many sentences of a table each word stands."""

    def __init__(self) -> None:
        self.rows, self._sentences = 0, Counter[str]()

    def add(self, texts: Iterable[str]) -> None:
        """Count further sentences."""
        for text in texts:
            self.rows += 1
            self._sentences.update(_words(text))
        if len(self._sentences) > _MOST_WORDS:
            self._sentences = Counter({word: count for word, count in self._sentences.items() if count > 1})

    def key_words(self, texts: Sequence[str], number: int = _KEY_WORDS) -> list[str]:
        """The words that stand in many of these sentences and in few of all (tf-idf).

        >>> counts = WordCounts()
        >>> counts.add(["pay the bill", "the bill is wrong", "the song", "play the song"])
        >>> counts.key_words(["pay the bill", "the bill is wrong"], 1)
        ['bill']
        """
        here = Counter(word for text in texts for word in _words(text))
        least = 2 if len(texts) > 1 else 1
        weights = {
            word: count * math.log(self.rows / max(self._sentences[word], count))
            for word, count in here.items()
            if count >= least
        }
        best = sorted(weights, key=lambda word: (-weights[word], word))
        return [word for word in best if weights[word] > 0][:number]


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if not word.isdigit()}
