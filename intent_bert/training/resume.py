"""Go on with a run that was killed, from its last whole epoch.

    OUTPUT_DIR/unfinished/progress.json       settings, history, best epoch and its score; names the two files below
    OUTPUT_DIR/unfinished/epoch-2.weights.h5  weights and optimizer state after the last whole epoch
    OUTPUT_DIR/unfinished/best-1.weights.h5   weights of the best epoch

The weights are written first, under names that no older state has, and ``progress.json`` is swapped in last, so a run
that is killed while it writes leaves the state of the epoch before. A resumed run ends with the weights that it would
have had unbroken.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from intent_bert.errors import DiskError, IntentBertError, reason
from intent_bert.files.state import SavedState
from intent_bert.model.saved import save_weights

logger = logging.getLogger("intent_bert")

PROGRESS_FILE = "progress.json"
_FREE_TO_CHANGE = ("output_dir", "log_dir", "resume", "strict", "export")


@dataclass
class Progress:
    """How far a run has come: ``rows`` is the history, an epoch a row; ``best_epoch`` counts from 0, -1 for none."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: tuple[float, float] = (float("-inf"), float("-inf"))


class UnfinishedRun:
    """The state of a run in a folder; ``clear`` it when the model folder is written."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.state = SavedState(
            folder / PROGRESS_FILE,
            {name: value for name, value in settings.items() if name not in _FREE_TO_CHANGE},
            name=f"the unfinished run in {folder}",
            advice="resume it with the same settings, or leave --resume out to start from the beginning",
            restart=f"delete {folder} to start from the beginning",
            hashes={"sentences": "other sentences or labels"},
        )
        self._files: set[Path] = set()  # that the last whole state names
        self._is_ours = False  # what stands in the folder is of this run

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Write the state after an epoch; a full disk costs this state, not the former one and not the run."""
        if not self._is_ours:
            self.clear()  # of a run that is not gone on with
            self._is_ours = True
        latest, best = self._latest(progress), self._best(progress)
        try:
            self._write(model, progress, latest, best)
            self._files = {latest, best}
        except OSError as error:
            logger.warning("can't keep the state of the run in %s (%s): training goes on", self.folder, _words(error))
        for other in self.folder.glob("*.weights.h5"):
            if other not in self._files:
                other.unlink(missing_ok=True)
        if not self._files:
            self.clear()

    def _write(self, model: keras.Model, progress: Progress, latest: Path, best: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        save_weights(model, latest)
        if progress.best_epoch == len(progress.rows) - 1:
            save_weights(_without_optimizer(model), best)
        self.state.write({"seeds": [seed.numpy().tolist() for seed in _seeds(model)], **vars(progress)})

    def load(self, model: keras.Model) -> tuple[Progress, list[Any]]:
        """Put the state into a compiled model; gives the progress and the weights of the best epoch.

        Raises:
            SettingsError: the run had other settings.
            DiskError: the state can't be read.
        """
        values = self.state.read()
        self._is_ours = True
        if values is None:
            logger.info("nothing to resume in %s: starting from the beginning", self.folder)
            return Progress(), []
        try:
            seeds = values.pop("seeds")
            progress = Progress(**values)
            progress.best_score = (progress.best_score[0], progress.best_score[1])
            latest, best = self._latest(progress), self._best(progress)
            _without_optimizer(model).load_weights(best)
            best_weights = model.get_weights()
            model.load_weights(latest)
            for variable, seed in zip(_seeds(model), seeds, strict=True):
                variable.assign(seed)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DiskError(f"{self.folder} is damaged ({reason(error)}): {self.state.restart}") from error
        self._files = {latest, best}
        logger.info("resuming after epoch %d", len(progress.rows))
        return progress, best_weights

    @property
    def advice(self) -> str:
        """What to do where the model can't be saved."""
        if not self._files:
            return "the training is lost"
        return f"the training is kept in {self.folder}: mend this, and go on with --resume"

    def clear(self) -> None:
        """Remove the state."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._files = set()

    def _latest(self, progress: Progress) -> Path:
        return self.folder / f"epoch-{len(progress.rows)}.weights.h5"

    def _best(self, progress: Progress) -> Path:
        return self.folder / f"best-{progress.best_epoch + 1}.weights.h5"


def _words(error: BaseException) -> str:
    """The system's words for an error, without the place that a ``DiskError`` names."""
    return reason(error.__cause__ or error) if isinstance(error, IntentBertError) else reason(error)


def _without_optimizer(model: keras.Model) -> keras.Model:
    """The same layers, so that a third of the state is written."""
    return keras.Model(model.inputs, model.outputs)


def _seeds(model: keras.Model) -> list[Any]:
    """The states of the dropout layers' random generators, which Keras leaves out of its weight files."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
