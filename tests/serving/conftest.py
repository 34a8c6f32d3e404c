"""Models for the server's tests that need neither training nor an ONNX file: the engine is a few lines of numpy."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import tiny_vocab

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.errors import ModelFolderError
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.calibration import Calibration
from intent_bert.model.decision import Decision
from intent_bert.model.outputs import Outputs
from intent_bert.model.scope import Scope, Threshold
from intent_bert.serving.access import Access
from intent_bert.serving.app import create_app
from intent_bert.serving.metrics import Metrics
from intent_bert.serving.models import Models, Served
from intent_bert.serving.settings import ServerSettings

CLASSES = ["music", "weather", 3]
NEARLY = 1e-5


class BagEngine:
    """Logits from the sum of a random vector for each token; it counts what it is asked."""

    name = "onnx"

    def __init__(self, seed: int = 0, classes: int = len(CLASSES)) -> None:
        rng = np.random.default_rng(seed)
        self.table = rng.normal(0, 0.7, (200, classes + 8)).astype("float32")
        self.classes, self.passes, self.failing = classes, [], ""

    def outputs(self, ids: Sequence[Sequence[int]]) -> Outputs:
        self.passes.append(len(ids))
        rows = np.stack([self.table[np.array(each)].sum(axis=0) for each in ids])
        return Outputs(rows[:, : self.classes], rows[:, self.classes :], np.tile(rows[:, self.classes :], 2))

    def logits(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        return self.outputs(ids).logits


def predictor_of(folder: Path, seed: int = 0, threshold: float | None = -2.0, classes: list[Any] = CLASSES) -> Any:
    """An ``IntentPredictor`` on a ``BagEngine``; its fingerprint tells the seed."""
    (folder / "vocab.txt").write_text("\n".join(tiny_vocab()) + "\n", encoding="utf-8")
    engine = BagEngine(seed, len(classes))
    rows = engine.outputs([[2, number, 3] for number in range(5, 65)])
    scope = Scope.of(rows, rows.logits.argmax(axis=1), len(classes))
    if threshold is not None:
        scope = replace(scope, threshold=Threshold(threshold, 0.9, None, 60, "validation"))
    decision = Decision(Calibration(1.3, 60, "validation"), scope)
    tokenizer = FullTokenizer(folder / "vocab.txt")
    model = SimpleNamespace(classes=classes, max_seq_len=24, tokenizer=tokenizer, decision=decision, settings={})
    engine.passes.clear()
    predictor = IntentPredictor(model, engine)
    predictor.fingerprint = f"seed-{seed}"
    return predictor


@pytest.fixture
def predictor(tmp_path: Path) -> Any:
    return predictor_of(tmp_path)


class World:
    """An application with the models "first" and "second", asked without a network.

    Attributes:
        predictors: what answers under each name.
    """

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str | None = None, **settings: Any
    ) -> None:
        self.predictors = {"first": predictor_of(folder, 1), "second": predictor_of(folder, 2, threshold=None)}
        self.folder = folder
        monkeypatch.setattr(Served, "read", lambda served: self._read(served))
        self.settings = ServerSettings(**{"batch_wait": 1.0, **settings})
        self.metrics = Metrics()
        folders = {name: folder / name for name in self.predictors}
        for path in folders.values():
            path.mkdir(exist_ok=True)
        self.models = Models(folders, self.settings, self.metrics)
        self.app = create_app(self.models, Access(token))

    def _read(self, served: Served) -> IntentPredictor:
        if self.predictors[served.name] is None:
            raise ModelFolderError(f"{served.path} is damaged")
        return self.predictors[served.name]

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.together([(method, path, options)])[0]

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, content=content, **options)

    def together(self, requests: Sequence[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """The answers to requests that come at one time."""

        async def all_of_them() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                return await asyncio.gather(*(client.request(*each[:2], **each[2]) for each in requests))

        return asyncio.run(all_of_them())

    def replace(self, name: str, seed: int | None) -> None:
        """Let another model stand in a folder, or with None a damaged one."""
        self.predictors[name] = None if seed is None else predictor_of(self.folder, seed)
        (self.models.get(name).path / "config.json").write_text(f"model of seed {seed}")

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"intent_bert_{name}", labels)


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    return lambda **settings: World(tmp_path, monkeypatch, **settings)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
