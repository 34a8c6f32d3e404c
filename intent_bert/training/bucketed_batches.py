"""Batches of about one length for those who write ``compile`` and ``fit`` themselves, on any Keras backend.

    ids of unlike length, or a padded matrix  ->  (x (B, T) int32, y (B,) int32), T the longest of its batch

Which sentences meet in a batch is ``data.batches``' business.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from intent_bert.data.batches import Ids, bucketed_batches, pad
from intent_bert.errors import DataError, SettingsError


class BucketedBatches(keras.utils.PyDataset):
    """Batches of about one length, in a new random order each epoch.

    A batch is as long as its longest sentence, so little of it is padding. Every sentence stands in one batch of an
    epoch, and one batch of an epoch may be smaller. ``seed`` and the number of epochs before fix the order; give
    ``fit`` ``shuffle=False``, or it shuffles the batches once more. A backend that compiles for each shape (JAX)
    compiles once for each length that comes up.

        batches = BucketedBatches(data.train_x, data.train_y, batch_size=32)
        model.fit(batches, epochs=3, shuffle=False)

    Args:
        x: ids of each sentence, N int arrays of unlike length (as ``intent_bert.data.batches.encode`` gives them), or
            one int matrix (N, T) with 0 to the right, such as ``IntentDetectionData.train_x``.
        y: label numbers, int (N,); or of several labels a sentence the matrix of 0 and 1, (N, C).
        batch_size: sentences in a batch, at least 1.
        seed: 0 or above.
        sample_weight: float (N,), how much each sentence counts in the loss; None counts all alike.
        **kwargs: of ``keras.utils.PyDataset``: workers, use_multiprocessing, max_queue_size.

    Each batch is ``(x int32 (B, T), y int32 (B,))``, or y float32 (B, C) of several labels, and float32 (B,) as a third
    where there are weights.

    Raises:
        DataError: no sentences, or not as many labels or weights as sentences.
        SettingsError: ``batch_size`` below 1, or ``seed`` below 0.
    """

    def __init__(
        self,
        x: Sequence[Ids] | np.ndarray,
        y: Sequence[int] | np.ndarray,
        batch_size: int = 32,
        seed: int = 0,
        sample_weight: Sequence[float] | np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if batch_size < 1:
            raise SettingsError(f"batch_size must be at least 1, not {batch_size}")
        if seed < 0:
            raise SettingsError(f"seed must be at least 0, not {seed}")
        self.ids = _without_padding(x) if isinstance(x, np.ndarray) and x.ndim == 2 else list(x)
        labels = np.asarray(y)
        several = labels.ndim == 2 and labels.shape[1] > 1
        self.labels = labels.astype("float32") if several else labels.astype("int32").reshape(-1)
        self.weights = None if sample_weight is None else np.asarray(sample_weight, "float32").reshape(-1)
        if not self.ids:
            raise DataError("expected sentences to make batches of, got none")
        for name, values in (("labels", self.labels), ("weights", self.weights)):
            if values is not None and len(values) != len(self.ids):
                given = f"{len(self.ids)} sentences and {len(values)} {name}"
                raise DataError(f"expected as many {name} as sentences, got {given}")
        self.batch_size, self.seed = int(batch_size), int(seed)
        self.epoch = 0
        self._shuffle()

    def __len__(self) -> int:
        return -(-len(self.ids) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        rows = self.batches[index]
        weights = () if self.weights is None else (self.weights[rows],)
        return pad([self.ids[row] for row in rows]), self.labels[rows], *weights

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.batches = list(bucketed_batches(self.ids, self.batch_size, rng))


def _without_padding(matrix: np.ndarray) -> list[np.ndarray]:
    """The rows of (N, T), each without the zeros to its right."""
    lengths = matrix.shape[1] - (matrix[:, ::-1] != 0).argmax(axis=1)
    return [row[:length] for row, length in zip(matrix, lengths, strict=True)]
