"""How well a model tells sentences in scope from unknown ones: metrics of its scores, beside those of its probability.

auroc     the probability that a sentence in scope has the higher score of two
aupr_in   average precision where the sentences in scope are to be found, aupr_out where the unknown ones are
fpr95     share of unknown sentences accepted where 95 % of those in scope are
open_f1   F1 of "unknown" as a class, at the model's threshold (as TEXTOIR has it)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ScopeScores:
    """What the plots of a table show of N rows.

    Attributes:
        scores: float32 (N,), higher is more in scope.
        confidence: of the prediction, float (N,).
        known: bool (N,), whether the label is one of the model's.
        right: bool (N,), whether the prediction is the label.
        threshold: the model's, if it has one.
    """

    scores: np.ndarray
    confidence: np.ndarray
    known: np.ndarray
    right: np.ndarray
    threshold: float | None

    def metrics(self) -> dict[str, Any] | None:
        """The metrics of the module's docstring; None unless there are rows of both kinds.

        At the threshold ``rejected_unknown`` and ``accepted_known`` are shares; without one they and ``open_f1`` are
        None. ``known_accuracy`` is that of all rows in scope, rejected or not. ``max_probability`` holds what the
        confidence alone would give, ``known`` and ``unknown`` how many rows there are.
        """
        if self.known.all() or not self.known.any() or np.isnan(self.scores).any():
            return None
        return {
            **ranking_metrics(self.scores, self.known),
            **self._at_the_threshold(),
            "known_accuracy": float(self.right[self.known].mean()),
            "known": int(self.known.sum()),
            "unknown": int((~self.known).sum()),
            "max_probability": ranking_metrics(self.confidence, self.known),
        }

    def _at_the_threshold(self) -> dict[str, float | None]:
        if self.threshold is None:
            return dict.fromkeys(("threshold", "rejected_unknown", "accepted_known", "open_f1"))
        rejected = self.scores < self.threshold
        found = int((rejected & ~self.known).sum())
        return {
            "threshold": self.threshold,
            "rejected_unknown": float(rejected[~self.known].mean()),
            "accepted_known": float(1 - rejected[self.known].mean()),
            "open_f1": 2 * found / (int(rejected.sum()) + int((~self.known).sum())),
        }


def ranking_metrics(scores: np.ndarray, known: np.ndarray) -> dict[str, float]:
    """AUROC, both AUPR and FPR95 of scores (N,), higher for rows that are known, bool (N,)."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "auroc": float(roc_auc_score(known, scores)),
        "aupr_in": float(average_precision_score(known, scores)),
        "aupr_out": float(average_precision_score(~known, -scores)),
        "fpr95": float((scores[~known] >= np.quantile(scores[known], 0.05, method="lower")).mean()),
    }
