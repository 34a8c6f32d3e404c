"""A table of training sentences as a model sees it, for whoever asks which of them are near. With a progress bar."""

from typing import TYPE_CHECKING

import numpy as np

from intent_bert.config import INTENT, TEXT
from intent_bert.data.label_sets import holds_label_sets, joined
from intent_bert.inference.known_sentences import KnownSentences

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.inference.predictor import IntentPredictor

AT_ONCE = 512


def known_sentences_of(
    predictor: "IntentPredictor", table: "pd.DataFrame", description: str | None = "comparing"
) -> KnownSentences:
    """The sentences of a table that ``read_table`` gave, label sets as texts.

    Raises:
        SettingsError: the model gives no vectors.
    """
    from intent_bert.files.progress import progress_bar

    texts, labels = list(table[TEXT]), list(table[INTENT])
    if holds_label_sets(labels):
        labels = [joined(each, predictor.label_separator) for each in labels]
    parts = []
    with progress_bar(len(texts), description, "sentence", delay=2, leave=False) as bar:
        for first in range(0, len(texts), AT_ONCE):
            parts.append(predictor.outputs(texts[first : first + AT_ONCE]).vectors)
            bar.update(len(parts[-1]))
    return KnownSentences.of(texts, labels, np.concatenate(parts))
