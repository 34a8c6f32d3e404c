"""The models that a server answers with: each has a name, and is a folder that may be replaced while it is asked.

A request is answered by the model that stood there when it came: what was loaded goes on until its last request is
answered. When to look at the folders is reloading.py's business.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.inference.engines import AUTO, KERAS, choose_engine
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.decision import Prediction
from intent_bert.model.folder import ModelFolder
from intent_bert.serving.batching import Batcher, as_predictions
from intent_bert.serving.metrics import Metrics
from intent_bert.serving.problems import NotFound, shown
from intent_bert.serving.settings import ServerSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WARMING = ["warm", "me", "up now"]

Signature = tuple[tuple[str, int, int, int], ...]  # of each file: name, inode, size, time


def named_folders(arguments: Sequence[str]) -> dict[str, Path]:
    """The folders by their names: ``NAME=MODEL_DIR``, or the folder's own name.

    >>> {name: str(path) for name, path in named_folders(["runs/sample", "new=runs/second"]).items()}
    {'sample': 'runs/sample', 'new': 'runs/second'}

    Raises:
        SettingsError: two models have one name, or a name can't stand in an address.
    """
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, equals, rest = argument.partition("=")
        if equals and "/" not in name and os.sep not in name and not Path(argument).exists():
            path = Path(rest)
            if not rest:
                raise SettingsError(f"{argument} names no model folder: expected NAME=MODEL_DIR")
        else:
            path = Path(argument)
            name = _name_of(path)
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"a model can't be called {name!r}: name it with letters, digits, dots, - and _, as in my-model={path}"
            )
        if name in folders:
            raise SettingsError(
                f"two models are called {name}: give one of them another name, as in {name}-2={argument}"
            )
        folders[name] = path
    return folders


def _name_of(path: Path) -> str:
    """A folder's name; of a sealed file the name of the folder that it lies in, where it has the usual one."""
    whole = path.absolute()
    if not whole.is_file():
        return Path(os.path.normpath(whole)).name
    return whole.parent.name if whole.stem == "model" else whole.stem


class Loaded:
    """A model in memory: what computes, with its waiting requests and its cache.

    Attributes:
        predictor: what computes.
        batcher: what asks it for many requests at a time.
        since: when it was loaded, in seconds since 1970.
    """

    def __init__(
        self, name: str, predictor: IntentPredictor, pool: Executor, settings: ServerSettings, metrics: Metrics
    ) -> None:
        self.predictor, self.since = predictor, time.time()
        self.batcher = Batcher(
            predictor,
            pool,
            cache_size=settings.cache_size,
            wait=settings.batch_wait / 1000,
            size=settings.batch_size,
            most_waiting=settings.max_waiting,
            on_pass=lambda sentences, seconds: metrics.count_pass(name, sentences, seconds),
            on_hits=lambda texts: metrics.count_hits(name, texts),
        )

    async def describe(self, texts: Sequence[str], top_k: int = 1, reject: bool = False) -> list[Prediction]:
        """All that is known of each text, as ``IntentPredictor.described`` gives it.

        Raises:
            SettingsError: ``reject``, and the model can't tell which texts are in scope.
            Busy: too many requests wait already.
        """
        if reject:
            self.predictor.decision.check_threshold()
        classes = len(self.predictor.classes)
        rows = await self.batcher.ask(texts)
        return self.predictor.describe(as_predictions(rows, classes), min(top_k, classes), reject)


class Served:
    """A model folder under its name; ``loaded`` is what answers now.

    Attributes:
        refused: why what stands in the folder now was not taken; None where it was.
    """

    def __init__(self, name: str, path: Path, engine: str = AUTO) -> None:
        self.name, self.path, self._engine = name, path, engine
        self.signature: Signature = ()
        self.refused: str | None = None
        self.loaded: Loaded

    def read(self) -> IntentPredictor:
        """The model that stands in the folder, ready to answer; slow.

        Raises:
            ModelFolderError: it is missing or damaged, or has no form that runs without TensorFlow.
        """
        if choose_engine(ModelFolder(self.path), self._engine) == KERAS:
            raise ModelFolderError(
                f"{self.path} has no model.onnx, which a server answers with: intent-bert export {self.path} writes it"
            )
        predictor = IntentPredictor.load(self.path, engine=self._engine)
        for count in (1, 1, len(_WARMING)):  # a second single sentence opens the session for them
            predictor.predictions(_WARMING[:count])
        return predictor

    def found(self) -> Signature:
        """What the files look like from outside; empty where there are none."""
        try:
            paths = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
            stats = [(path.name, path.stat()) for path in paths if path.is_file()]
        except OSError:
            return ()
        return tuple((name, each.st_ino, each.st_size, each.st_mtime_ns) for name, each in stats)


class Models:
    """All models of a server, the first of them the default.

    Raises:
        ModelFolderError: a folder is missing or damaged, or has no form that runs without TensorFlow.
        SettingsError: an engine that isn't known or installed.
    """

    def __init__(
        self, folders: dict[str, Path], settings: ServerSettings, metrics: Metrics, engine: str = AUTO
    ) -> None:
        self.settings, self.metrics = settings, metrics
        self.pool = ThreadPoolExecutor(len(folders) + 1, "model")
        self._served = {name: Served(name, path, engine) for name, path in folders.items()}
        for served in self:
            served.signature = served.found()
            self.take(served, served.read())

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    @property
    def default(self) -> Served:
        return next(iter(self))

    def take(self, served: Served, predictor: IntentPredictor) -> None:
        """Let new requests be answered by this predictor."""
        served.loaded = Loaded(served.name, predictor, self.pool, self.settings, self.metrics)
        served.refused = None
        scope = predictor.decision.scope  # a multi-label model has none
        threshold = None if scope is None else scope.threshold
        accepted = None if threshold is None else threshold.known_acceptance
        cache = served.loaded.batcher.cache
        self.metrics.describe_model(served.name, predictor.fingerprint, predictor.engine, accepted, cache)

    def get(self, name: str | None = None) -> Served:
        """The model of this name, by default the first.

        Raises:
            NotFound: there is none.
        """
        if name is None:
            return self.default
        if not isinstance(name, str) or name not in self._served:
            raise NotFound(f"no model is called {shown(name)}: there are {', '.join(self._served)}")
        return self._served[name]

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
