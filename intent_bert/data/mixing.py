"""Sentences with several intents, made of those with one: what ``--mix`` adds to a table that has none.

    play a song             music     ->  Play a song, and then will it rain?     music, weather
    will it rain?           weather   ->  will it rain. also play a song          music, weather

Two or three sentences of the table are put behind one another in any order, with a joint from a long list or none at
all, with and without their punctuation and capitals. So a model learns that intents stand side by side, and not that
a certain word stands between them. Half of the sentences are drawn among all, half of an intent that is drawn first,
so that rare intents are met as well. The joints are English; those of punctuation alone serve any language.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from intent_bert.config import INTENT, TEXT, TrainingConfig
from intent_bert.data.label_sets import LabelSet
from intent_bert.data.labels import classes_of

THREE = 0.3  # share of the mixed sentences that are made of three
SAME_INTENTS = 0.1  # share of the draws in which a second sentence may have the labels of the first
PLAIN_JOINTS = (". ", "; ", ", ", " ", "? ", "! ", " - ", " ... ", "\n", " & ", ": ", " / ")
INNER_JOINTS = (
    " and ", ", and ", " and then ", ", and then ", ", then ", " then ", " and also ", ", also ", " also ", " plus ",
    ", plus ", " as well as ", " after that ", ", after that ", " and after that ", " but first ", " or ", " but also ",
    " besides ", ", next ", " and next ", ", and please ", " and could you ", " and can you ", ", please also ",
    " and i want to ", " before you ", " when you are done ", " as soon as that is done ", " and finally ",
    ", finally ", ", oh, ", " and maybe ",
)  # fmt: skip
NEW_SENTENCES = (
    ". then ", ". also, ", ". and ", ". after that, ", ". next, ", ". besides, ", ". please also ", ". finally, ",
    ". now ", ". i also want to know: ", ". second, ", ". ok, ", ". thanks. ", ". another thing, ",
)  # fmt: skip
OPENERS = ("first ", "first, ", "please ", "hi, ", "ok, ", "first of all ", "i need two things: ", "hey ", "could you ")
CLOSERS = (" please", " too", " as well", ", thanks", " now", "?", "!", ".")
OPENED = CLOSED = 0.15  # shares of the mixed sentences
_ENDS = " .?!;,"

Part = tuple[str, LabelSet]


def mixed_tables(tables: dict[str, pd.DataFrame], config: TrainingConfig) -> dict[str, pd.DataFrame]:
    """The tables of a run with what the setting ``mix`` adds to train, and to held-out rows from their own sentences.

    A validation table that has rows with several labels stays as it is: it is nearer to what will be asked.
    """
    if not config.mix:
        return tables
    mixed = dict(tables)
    for name, table in tables.items():
        several = table[INTENT].map(len).max() > 1
        if name == "train" or (name == "validation" and not several):
            mixed[name] = with_mixed(table, config.mix, config.seed)
    return mixed


def with_mixed(table: pd.DataFrame, share: float, seed: int = 0) -> pd.DataFrame:
    """The table with mixed sentences behind it, ``share`` times as many as it has rows.

    Args:
        table: columns text and intent, the latter with label sets.
        share: 0 to 1.
        seed: fixes what is mixed.
    """
    rows = mix(list(table[TEXT]), list(table[INTENT]), round(share * len(table)), seed)
    columns = zip(*rows, strict=True) if rows else ((), ())
    added = pd.DataFrame(
        {name: pd.Series(cells, dtype=table[name].dtype) for name, cells in zip((TEXT, INTENT), columns, strict=True)}
    )
    result = pd.concat([table, added], ignore_index=True)
    result.attrs = dict(table.attrs)
    return result


def mix(texts: Sequence[str], label_sets: Sequence[LabelSet], number: int, seed: int = 0) -> list[Part]:
    """So many sentences mixed of these, each with all the labels of its parts."""
    rng = np.random.default_rng([seed, len(texts)])
    draw = _Draw(texts, label_sets, rng)
    mixed = []
    for _ in range(number):
        parts = draw.parts(3 if rng.random() < THREE else 2)
        labels = classes_of(label for _, labels in parts for label in labels)
        mixed.append((joined_text([text for text, _ in parts], rng), tuple(labels)))
    return mixed


class _Draw:
    """Draws sentences, half of them by their labels."""

    def __init__(self, texts: Sequence[str], label_sets: Sequence[LabelSet], rng: np.random.Generator) -> None:
        self.texts, self.label_sets, self.rng = texts, label_sets, rng
        rows_of: dict[LabelSet, list[int]] = {}
        for row, labels in enumerate(label_sets):
            rows_of.setdefault(labels, []).append(row)
        self.rows_of = list(rows_of.values())

    def parts(self, number: int) -> list[Part]:
        parts: list[Part] = []
        while len(parts) < number:
            row = self._row()
            labels = self.label_sets[row]
            known = any(labels == others for _, others in parts)
            if not known or len(self.rows_of) < number or self.rng.random() < SAME_INTENTS:
                parts.append((self.texts[row], labels))
        return parts

    def _row(self) -> int:
        if self.rng.random() < 0.5:
            return int(self.rng.integers(len(self.texts)))
        rows = self.rows_of[self.rng.integers(len(self.rows_of))]
        return rows[self.rng.integers(len(rows))]


def joined_text(texts: Sequence[str], rng: np.random.Generator) -> str:
    """These sentences as one text, with joints, punctuation and capitals at random."""
    text = _cased(texts[0], rng, begins=True)
    if rng.random() < OPENED:
        text = _one_of(OPENERS, rng) + _cased(text, rng, begins=False)
    for following in texts[1:]:
        joint = _one_of((PLAIN_JOINTS, INNER_JOINTS, NEW_SENTENCES)[rng.choice(3, p=(0.35, 0.45, 0.2))], rng)
        begins = joint.rstrip()[-1:] in (".", "?", "!")
        text = _open_ended(text, joint, rng)
        if rng.random() < 0.3 and joint[0] == ".":
            joint = joint[:2] + joint[2:].capitalize()
        text += joint + _cased(following, rng, begins)
    if rng.random() < CLOSED:
        text = text.rstrip(_ENDS) + _one_of(CLOSERS, rng)
    lowered = rng.random() < 0.15
    return (text.lower() if lowered else text).strip()


def _open_ended(text: str, joint: str, rng: np.random.Generator) -> str:
    """A sentence without its full stop, which now and then stays in front of a space."""
    if joint.strip() and joint[0] != " ":
        return text.rstrip(_ENDS)
    stays = rng.random() >= (0.8 if joint.strip() else 0.5)
    return text.rstrip() if stays else text.rstrip(_ENDS)


def _cased(text: str, rng: np.random.Generator, begins: bool) -> str:
    """A sentence as it is, or with its first letter large or small."""
    text = text.strip()
    chance = rng.random()
    if chance < 0.4 or not text:
        return text
    small = chance < (0.6 if begins else 0.9)
    return (text[0].lower() if small else text[0].upper()) + text[1:]


def _one_of(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
