"""What the server tells Prometheus at /metrics. Nothing of a request's text is in it.

The refused share is that of the last thousand predictions of a model that were out of scope; its drift is how far that
lies from what the model was calibrated to refuse, 1 - ``known_acceptance``: with sentences like those of the
calibration it stays near 0.
"""

import contextlib
import math
from collections import Counter as Counts
from collections import deque
from collections.abc import Iterable, Sized
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from intent_bert.model.decision import Prediction

WINDOW = 1000  # predictions that the refused share is of
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The counts of one server."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for each, which nobody reads
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        model = ["model"]
        name = "intent_bert_"
        self._requests = Counter(f"{name}requests", "Requests answered", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            f"{name}request_seconds",
            "From a request's head to its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = Counter(f"{name}requests_refused", "Requests refused, and why", ["reason"], registry=registry)
        self._open = Gauge(f"{name}requests_in_progress", "Requests being answered", registry=registry)
        self._connections = Gauge(f"{name}connections", "Open connections", registry=registry)
        self._batch = Histogram(
            f"{name}batch_sentences", "Sentences of a forward pass", model, buckets=_SENTENCES, registry=registry
        )
        self._pass = Histogram(
            f"{name}forward_seconds", "Seconds of a forward pass", model, buckets=_SECONDS, registry=registry
        )
        self._intents = Counter(f"{name}predictions", "Predictions by intent", ["model", "intent"], registry=registry)
        self._out = Counter(f"{name}out_of_scope", "Predictions that were out of scope", model, registry=registry)
        self._hits = Counter(f"{name}cache_hits", "Texts answered from the cache", model, registry=registry)
        self._share = Gauge(f"{name}refused_share", f"Out of scope among the last {WINDOW}", model, registry=registry)
        self._expected = Gauge(
            f"{name}refused_share_expected", "What calibration expects of it", model, registry=registry
        )
        self._drift = Gauge(
            f"{name}refused_share_drift", "refused_share - refused_share_expected", model, registry=registry
        )
        self._drift_sigmas = Gauge(
            f"{name}refused_share_drift_sigmas",
            "The drift in standard errors of the expected share",
            model,
            registry=registry,
        )
        self._cached = Gauge(f"{name}cache_entries", "Texts in the cache", model, registry=registry)
        self._reloads = Counter(
            f"{name}model_reloads", "New models in a folder", ["model", "outcome"], registry=registry
        )
        self._info = Gauge(
            f"{name}model_info", "1 for the model that answers", ["model", "fingerprint", "engine"], registry=registry
        )
        self._last: dict[str, deque[bool]] = {}
        self._told: dict[str, tuple[str, str, str]] = {}

    # --- requests

    def start_request(self) -> None:
        self._open.inc()

    def count_request(self, route: str, status: int, seconds: float) -> None:
        self._open.dec()
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def count_refusal(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def watch_connections(self, connections: Sized) -> None:
        self._connections.set_function(lambda: len(connections))

    # --- models

    def describe_model(
        self, name: str, fingerprint: str, engine: str, known_acceptance: float | None, cache: Sized
    ) -> None:
        """Tell which model answers under a name from now on."""
        if name in self._told:
            self._info.remove(*self._told[name])
            for gauge in (self._share, self._expected, self._drift, self._drift_sigmas):
                with contextlib.suppress(KeyError):
                    gauge.remove(name)
        self._told[name] = (name, fingerprint, engine)
        self._info.labels(*self._told[name]).set(1)
        self._cached.labels(name).set_function(lambda: len(cache))
        last = self._last[name] = deque(maxlen=WINDOW)
        self._share.labels(name).set_function(lambda: _share(last))
        for outcome in ("taken", "refused"):
            self._reloads.labels(name, outcome)
        if known_acceptance is not None:
            expected = 1 - known_acceptance
            self._expected.labels(name).set(expected)
            self._drift.labels(name).set_function(lambda: _share(last) - expected)
            self._drift_sigmas.labels(name).set_function(lambda: _sigmas(last, expected))

    def count_pass(self, model: str, sentences: int, seconds: float) -> None:
        self._batch.labels(model).observe(sentences)
        self._pass.labels(model).observe(seconds)

    def count_predictions(self, model: str, predictions: Iterable[Prediction]) -> None:
        counted: Counts[str] = Counts()
        for each in predictions:
            counted["" if each.answer.intent is None else str(each.answer.intent)] += 1
            if each.in_scope is not None:
                self._last[model].append(not each.in_scope)
                if not each.in_scope:
                    self._out.labels(model).inc()
        for intent, number in counted.items():
            self._intents.labels(model, intent).inc(number)

    def count_hits(self, model: str, number: int) -> None:
        if number:
            self._hits.labels(model).inc(number)

    def count_reload(self, model: str, outcome: str) -> None:
        self._reloads.labels(model, outcome).inc()

    def as_text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self.registry)


def _share(last: "deque[bool]") -> float:
    return sum(last) / len(last) if last else math.nan


def _sigmas(last: "deque[bool]", expected: float) -> float:
    """How many standard errors the share lies above what is expected of it."""
    if not last or not 0 < expected < 1:
        return math.nan
    deviation: Any = math.sqrt(expected * (1 - expected) / len(last))
    return (_share(last) - expected) / deviation
