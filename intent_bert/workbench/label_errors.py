"""Suspects: sentences whose intent is probably wrong, that fit none, and intents that can't be told apart.

Confident learning (Northcutt et al. 2021, arXiv:1911.00068): an intent's threshold is the mean probability of the
sentences that carry it. A sentence is a suspect where another intent that reaches its threshold is likelier than its
own. The suspects come in the order of how much likelier: log p(other) - log p(own).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from intent_bert.workbench.doubts import Doubts
from intent_bert.workbench.findings import INTENT_IS, Finding, advice
from intent_bert.workbench.masks import masked
from intent_bert.workbench.sheets import Sheet

_SMALL = 0.01  # probabilities below are as good as none
OVERLAP = 0.15  # of two intents' sentences are taken for the other's
LEAST_MIXED = 3  # sentences
FENCE = 1.5  # interquartile ranges below the first quartile (Tukey): further from its neighbours than that is far
UNLIKELY = 0.5  # the likeliest intent's probability


def suspects(doubts: Doubts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The suspects, the surest first.

    Returns:
        Their numbers, the numbers of the intents proposed, and how sure it is, 0 to 1: (S,) each.
    """
    own, p = doubts.own, doubts.probabilities.astype("float64")
    rows = np.arange(len(own))
    given = p[rows, own]
    counts = np.bincount(own, minlength=p.shape[1])
    thresholds = np.bincount(own, given, p.shape[1]) / np.maximum(counts, 1)
    others = p.copy()
    others[rows, own] = -1
    best = others.argmax(axis=1)
    likelier = others[rows, best]
    found = doubts.judged & (likelier > given) & (likelier >= np.minimum(thresholds[best], UNLIKELY))
    surest = np.log(likelier + _SMALL) - np.log(given + _SMALL)
    numbers = np.flatnonzero(found)
    numbers = numbers[np.argsort(-surest[numbers], kind="stable")]
    return numbers, best[numbers], 1 / (1 + np.exp(-surest[numbers]))


def label_errors(sheet: Sheet, rows: Sequence[int], doubts: Doubts) -> Iterator[Finding]:
    """Findings of the kind label-error; ``rows`` are the sentences' numbers in the sheet."""
    for number, intent, score in zip(*suspects(doubts), strict=True):
        name, probability = doubts.classes[intent], doubts.probabilities[number, intent]
        agreeing = int((doubts.own[doubts.near[number]] == intent).sum())
        like = [each for each in doubts.near[number] if doubts.own[each] == intent]
        other = rows[like[0]] if like else None
        why = f"{name} is likelier ({probability:.0%} to {doubts.probabilities[number, doubts.own[number]]:.0%})"
        why += f", as {agreeing} of {doubts.near.shape[1]} neighbours say"
        if other is not None:
            why += f", such as row {sheet.place(other)}: {masked(sheet.texts[other])!r}"
        yield sheet.finding(
            "label-error", "warning", why, rows[number], suggestion=INTENT_IS + name, score=float(score),
            other_row=None if other is None else sheet.place(other),
        )  # fmt: skip


def outliers(sheet: Sheet, rows: Sequence[int], doubts: Doubts) -> Iterator[Finding]:
    """Findings of the kind outlier: unlike all other sentences, and no intent likely."""
    nearness = doubts.similarity.mean(axis=1)
    low, high = np.quantile(nearness, [0.25, 0.75])
    far = nearness < low - FENCE * (high - low)
    unsure = doubts.probabilities.max(axis=1) < UNLIKELY
    for number in np.flatnonzero(far & unsure):
        why = f"far from every other sentence (similarity {nearness[number]:.2f}, most have {low:.2f} or more)"
        why += ", and no intent is likely"
        todo = advice("delete it, or write more like it")
        score = 1 - float(doubts.probabilities[number].max())
        yield sheet.finding("outlier", "info", why, rows[number], suggestion=todo, score=score)


def overlaps(sheet: Sheet, rows: Sequence[int], doubts: Doubts) -> Iterator[Finding]:
    """Findings of the kind overlap: pairs of intents whose sentences are often taken for the other's."""
    taken = doubts.probabilities.argmax(axis=1)
    sizes = np.bincount(doubts.own, minlength=len(doubts.classes))
    mixed = np.zeros((len(sizes), len(sizes)), int)
    np.add.at(mixed, (doubts.own, taken), 1)
    both = mixed + mixed.T
    for one, other in zip(*np.nonzero(np.triu(both, 1)), strict=True):
        share = both[one, other] / (sizes[one] + sizes[other])
        if share < OVERLAP or both[one, other] < LEAST_MIXED:
            continue
        names = doubts.classes[one], doubts.classes[other]
        why = (
            f"{both[one, other]} of their {sizes[one] + sizes[other]} sentences are taken for the other's ({share:.0%})"
        )
        examples = [_example(doubts, rows, *pair) for pair in ((one, other), (other, one))]
        places = [None if each is None else sheet.place(each) for each in examples]
        text = "" if examples[0] is None else masked(sheet.texts[examples[0]])
        todo = advice(f"make {names[0]} and {names[1]} one intent, or write sentences that tell them apart")
        yield Finding(
            "overlap", "warning", f"{names[0]} and {names[1]}: {why}", places[0], text, names[0], todo,
            min(1.0, 2 * float(share)), places[1],
        )  # fmt: skip


def _example(doubts: Doubts, rows: Sequence[int], own: int, taken: int) -> int | None:
    """The sentence of an intent that is the surest taken for another one."""
    numbers = np.flatnonzero((doubts.own == own) & (doubts.probabilities.argmax(axis=1) == taken))
    if not len(numbers):
        return None
    return rows[int(numbers[doubts.probabilities[numbers, taken].argmax()])]
