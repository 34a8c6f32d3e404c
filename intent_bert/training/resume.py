"""Go on with a run that was killed, from its last whole epoch.

    OUTPUT_DIR/unfinished/progress.json       settings, history, best epoch and its score; names the two files below
    OUTPUT_DIR/unfinished/epoch-2.weights.h5  weights and optimizer state after the last whole epoch
    OUTPUT_DIR/unfinished/best-1.weights.h5   weights of the best epoch

The weights are written first and ``progress.json`` is swapped in last, so a run that is killed while it writes leaves
the state of the epoch before. A resumed run ends with the weights that it would have had unbroken.
"""

import json
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from intent_bert.errors import ModelFolderError, SettingsError
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

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = {name: value for name, value in settings.items() if name not in _FREE_TO_CHANGE}

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Write the state after an epoch; a full disk costs the state, not the run."""
        try:
            self._save(model, progress)
        except (OSError, RuntimeError) as error:  # h5py raises both
            reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
            self.clear()  # the disk is needed for the model
            logger.warning("can't keep the state of the run in %s (%s): training goes on", self.folder, reason)

    def _save(self, model: keras.Model, progress: Progress) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        latest = self.folder / f"epoch-{len(progress.rows)}.weights.h5"
        best = self.folder / f"best-{progress.best_epoch + 1}.weights.h5"
        save_weights(model, latest)
        if progress.best_epoch == len(progress.rows) - 1:
            shutil.copyfile(latest, best)
        state = {
            "settings": self.settings,
            "seeds": [seed.numpy().tolist() for seed in _seeds(model)],
            **vars(progress),
        }
        written = self.folder / f"{PROGRESS_FILE}.new"
        written.write_text(json.dumps(state, indent=2), encoding="utf-8")
        written.replace(self.folder / PROGRESS_FILE)
        for other in self.folder.glob("*.weights.h5"):
            if other not in (latest, best):
                other.unlink()

    def load(self, model: keras.Model) -> tuple[Progress, list[Any]]:
        """Put the state into a compiled model; gives the progress and the weights of the best epoch.

        Raises:
            SettingsError: the run had other settings.
            ModelFolderError: the state can't be read.
        """
        path = self.folder / PROGRESS_FILE
        if not path.is_file():
            logger.info("nothing to resume in %s: starting from the beginning", self.folder)
            return Progress(), []
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            settings, seeds = values.pop("settings"), values.pop("seeds")
            progress = Progress(**values)
            progress.best_score = (progress.best_score[0], progress.best_score[1])
        except (ValueError, KeyError, TypeError, IndexError):
            raise ModelFolderError(f"{path} is damaged: delete {self.folder} to start from the beginning") from None
        changed = [name for name, value in self.settings.items() if settings.get(name) != value]
        if changed:
            old, new = settings.get(changed[0]), self.settings[changed[0]]
            raise SettingsError(
                f"the unfinished run in {self.folder} had {changed[0]}={old}, not {new}: resume it with the same "
                "settings, or leave --resume out to start from the beginning"
            )
        try:
            model.load_weights(self.folder / f"best-{progress.best_epoch + 1}.weights.h5")
            best = model.get_weights()
            model.load_weights(self.folder / f"epoch-{len(progress.rows)}.weights.h5")
        except (OSError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise ModelFolderError(
                f"{self.folder} is damaged ({reason}): delete it to start from the beginning"
            ) from None
        for variable, seed in zip(_seeds(model), seeds, strict=True):
            variable.assign(seed)
        logger.info("resuming after epoch %d", len(progress.rows))
        return progress, best

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _seeds(model: keras.Model) -> list[Any]:
    """The states of the dropout layers' random generators, which Keras leaves out of its weight files."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
