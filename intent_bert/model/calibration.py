"""What held-out sentences teach a trained model's decision: its temperature, and from where on to say "I don't know".

The weights are not touched and no prediction changes: a temperature scales all logits of a sentence alike. It is fitted
by negative log likelihood (Guo et al. 2017, arXiv 1706.04599). A scale for each intent (vector scaling) may change
predictions and is left out.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from intent_bert.model.scope import Scope, Threshold

LEAST_ROWS = 30  # held-out sentences that a temperature is fitted on
_PRIOR = 0.5  # the spread of a temperature's logarithm before any sentence is seen
_HOTTEST = math.log(10)
_DIFFERENCE = 1e-3  # of scores, more than engines differ by
_HOLD = 100  # how strongly the usual weights of a score hold against unknown sentences


class Calibration(NamedTuple):
    """A temperature, and how many sentences of which table chose it."""

    temperature: float
    rows: int
    source: str


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes labels, int (N,), likeliest under logits (N, C); near 1 where few tell.

    A normal prior on its logarithm keeps it finite where every prediction is right.
    """
    from scipy.optimize import minimize_scalar

    logits = logits.astype("float64")
    given = logits[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        scaled = logits * scale
        largest = scaled.max(axis=1)
        energies = largest + np.log(np.exp(scaled - largest[:, None]).sum(axis=1))
        return float((energies - given * scale).sum() + 0.5 * (log_temperature / _PRIOR) ** 2)

    return math.exp(minimize_scalar(loss, bounds=(-_HOTTEST, _HOTTEST), method="bounded").x)


def least_rows(known_acceptance: float) -> int:
    """How many held-out sentences a threshold needs."""
    return math.ceil(known_acceptance / (1 - known_acceptance) - 1e-9)


def conformal_threshold(scores: np.ndarray, known_acceptance: float, source: str) -> Threshold | None:
    """The score that a new sentence in scope reaches with this probability at least; None where too few tell it.

    Split conformal prediction (Vovk et al. 2005): of N exchangeable scores, the k-th smallest, k = floor((N + 1) *
    (1 - known_acceptance)). The share that it accepts in the long run has the Beta(N + 1 - k, k) distribution.
    """
    rank = min(math.floor((len(scores) + 1) * (1 - known_acceptance) + 1e-9), len(scores))
    if rank < 1:
        return None
    from scipy.stats import beta

    low, high = beta.ppf([0.025, 0.975], len(scores) + 1 - rank, rank)
    value = just_below(float(np.partition(scores, rank - 1)[rank - 1]), scores)
    return Threshold(value, known_acceptance, (float(low), float(high)), len(scores), source)


def taught_by_unknown(scope: Scope, known: np.ndarray, unknown: np.ndarray, source: str) -> Scope:
    """Weights and threshold from sentences in scope and unknown ones, their parts (N, 3) and (U, 3).

    The weights are those of a logistic regression, drawn to the usual ones where few sentences tell them, none below 0.
    The threshold has the largest sum of accepted known and rejected unknown sentences, in shares.
    """
    from scipy.optimize import minimize

    usual, means, spreads = (np.array(each) for each in (scope.weights, scope.means, scope.spreads))
    rows = (np.concatenate([known, unknown]).astype("float64") - means) / spreads
    signs = np.repeat([1.0, -1.0], [len(known), len(unknown)])
    share = np.repeat([0.5 / len(known), 0.5 / len(unknown)], [len(known), len(unknown)]) * len(rows)

    def loss(values: np.ndarray) -> float:
        margins = signs * (rows @ values[:3] + values[3])
        return float((share * np.logaddexp(0, -margins)).sum() + _HOLD * ((values[:3] - usual) ** 2).sum())

    bounds = [(0, None)] * 3 + [(None, None)]
    weights = minimize(loss, [*usual, 0.0], bounds=bounds, method="L-BFGS-B").x[:3]
    scope = replace(scope, weights=tuple(float(weight) for weight in weights))
    value = best_threshold(scope.fused(known), scope.fused(unknown))
    return replace(scope, threshold=Threshold(value, None, None, len(known) + len(unknown), source))


def best_threshold(known: np.ndarray, unknown: np.ndarray) -> float:
    """The threshold with the largest sum of accepted known and rejected unknown scores, in shares."""
    candidates = np.unique(np.concatenate([known, unknown]))
    accepted = 1 - np.searchsorted(np.sort(known), candidates) / len(known)
    rejected = np.searchsorted(np.sort(unknown), candidates) / len(unknown)
    return just_below(float(candidates[(accepted + rejected).argmax()]), candidates)


def just_below(score: float, scores: np.ndarray) -> float:
    """Half-way from a score to the next lower one, so that engines agree on the sentence that has it."""
    lower = scores[scores < score - _DIFFERENCE]
    return score - _DIFFERENCE if not len(lower) else (score + float(lower.max())) / 2
