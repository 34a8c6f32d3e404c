"""Held-out rows of a table with label sets: iterative stratification, the rarest label first.

    label    texts   share .2   held out
    rare         5          1          1      chosen first, among all five
    common     100         20         20      those that came with "rare" count, the others are chosen now

Each label, and the texts without any, gives its share as nearly as the labels that come together allow. All rows of one
text go to the same side. Nothing here reads tables.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from intent_bert.data.label_sets import LabelSet

_NONE = (None,)  # stands for the label of a text that has none


def held_out_texts(
    texts: Sequence[str], label_sets: Sequence[LabelSet], share: float, rng: np.random.Generator
) -> set[str]:
    """The texts of about ``share`` of every label's rows.

    A label gives at least one text when it has two, and never its last one. A text that stands under two different
    label sets is not held out.
    """
    labels_of, movable = _by_text(texts, label_sets)
    texts_of: dict[Hashable, list[str]] = {}
    for text, labels in labels_of.items():
        for label in labels:
            texts_of.setdefault(label, []).append(text)
    wanted = {label: min(max(1, round(share * len(there))), len(there) - 1) for label, there in texts_of.items()}
    most = {label: max(wanted[label], len(there) // 2) for label, there in texts_of.items()}  # with rarer ones
    chosen: dict[Hashable, int] = dict.fromkeys(texts_of, 0)
    held_out: set[str] = set()
    decided = set(labels_of) - movable
    for label in sorted(texts_of, key=lambda label: (len(texts_of[label]), str(label))):
        for text in rng.permutation(np.array(texts_of[label], object)):
            if text in decided:
                continue
            decided.add(text)
            if chosen[label] < wanted[label] and all(chosen[other] < most[other] for other in labels_of[text]):
                held_out.add(text)
                for other in labels_of[text]:
                    chosen[other] += 1
    return held_out


def _by_text(texts: Sequence[str], label_sets: Sequence[LabelSet]) -> tuple[dict[str, tuple], set[str]]:
    """The labels of each distinct text, and the texts whose rows agree."""
    sets_of: dict[str, set[LabelSet]] = {}
    for text, labels in zip(texts, label_sets, strict=True):
        sets_of.setdefault(text, set()).add(labels)
    labels_of = {text: tuple({label for labels in sets for label in labels or _NONE}) for text, sets in sets_of.items()}
    return labels_of, {text for text, sets in sets_of.items() if len(sets) == 1}
