"""What an engine gives for sentences: logits, and the vectors beneath them."""

from typing import NamedTuple

import numpy as np

OUTPUTS = ("logits", "vector", "layers")  # what exports call the fields of ``Outputs``


class Outputs(NamedTuple):
    """What an engine computes for N sentences; what an older export does not give has no columns."""

    logits: np.ndarray  # float32 (N, C)
    vectors: np.ndarray  # float32 (N, F), beneath the head
    layers: np.ndarray  # float32 (N, 2H), of two lower layers the mean over the tokens


def only_logits(logits: np.ndarray) -> Outputs:
    """What tells the intents of N sentences, and nothing of their scope."""
    nothing = np.empty((len(logits), 0), "float32")
    return Outputs(logits, nothing, nothing)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Each row (..., D) scaled to length 1."""
    lengths = np.sqrt(np.einsum("...d,...d->...", rows, rows))
    return rows / np.maximum(lengths, 1e-12)[..., None]
