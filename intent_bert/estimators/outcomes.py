"""What a comparison keeps of each method that is done, so that one that was interrupted goes on.

OUTPUT_DIR/outcomes/settings.json         the settings and a fingerprint of the sentences that all outcomes share
                   /METHOD@SIZE.json      an ``Outcome``
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intent_bert.config import CompareConfig
from intent_bert.errors import DiskError, SettingsError, reason
from intent_bert.model.folder import write_json

OUTCOMES, STATE_FILE = "outcomes", "settings.json"
FORMAT = 2  # of the outcomes; the first had "answers" where there are "predictions" now
_FREE_TO_CHANGE = ("methods", "sizes", "output_dir", "strict")


@dataclass
class Outcome:
    """What one method did with one size of training table.

    Attributes:
        method, family: the method's name and family.
        size: training sentences per intent, or "all".
        train_rows: training sentences (of a fold, on average).
        train_seconds: from texts to a fitted method (of a fold, on average). BERT vectors that several methods share
            are computed once and charged to each.
        ms_per_sentence: for predictions for the whole test table at once.
        megabytes: what a prediction needs on disk, the encoder's weights included.
        predictions: for each test sentence, in order.
    """

    method: str
    family: str
    size: str
    train_rows: int
    train_seconds: float
    ms_per_sentence: float
    megabytes: float
    predictions: list[str]


def plain_settings(config: CompareConfig) -> dict[str, Any]:
    """The settings as JSON has them: paths and labels as text, NumPy's numbers as Python's."""
    settings = asdict(config)
    if isinstance(settings["class_weight"], Mapping):
        settings["class_weight"] = {str(label): float(weight) for label, weight in settings["class_weight"].items()}
    return json.loads(json.dumps(settings, default=_plain))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


class OutcomeFolder:
    """The outcomes in an output folder, which is made, or found to hold a comparison with the same settings.

    Args:
        config: the settings; ``output_dir`` names the folder.
        fingerprint: of the sentences.

    Raises:
        SettingsError: the folder holds something else, or a comparison with other settings or sentences.
        DiskError: it can't be written.
    """

    def __init__(self, config: CompareConfig, fingerprint: str) -> None:
        self.folder = Path(config.output_dir)
        kept = {name: value for name, value in plain_settings(config).items() if name not in _FREE_TO_CHANGE}
        settings = {"format": FORMAT, **kept, "sentences": fingerprint}
        state = self.folder / OUTCOMES / STATE_FILE
        try:
            if state.is_file():
                self._check_same(state, settings)
            else:
                self._start(state, settings)
        except OSError as error:
            raise DiskError(f"can't write to {self.folder}: {reason(error)}") from None

    def _start(self, state: Path, settings: dict[str, Any]) -> None:
        others = [entry.name for entry in self.folder.iterdir()] if self.folder.exists() else []
        others = [name for name in others if name != OUTCOMES]
        if others:
            raise SettingsError(
                f"won't write into {self.folder}: it holds other things ({others[0]}); name a new folder"
            )
        state.parent.mkdir(parents=True, exist_ok=True)
        _write(state, settings)

    def _check_same(self, state: Path, settings: dict[str, Any]) -> None:
        try:
            found = json.loads(state.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SettingsError(f"{state} is damaged: delete {self.folder} to start from the beginning")
        if found.get("format") != FORMAT:
            raise SettingsError(
                f"{self.folder} holds a comparison that another version of intent_bert wrote: name another folder, "
                "or delete that one"
            )
        changed = [name for name, value in settings.items() if found.get(name) != value]
        if changed:
            name = changed[0]
            raise SettingsError(
                f"{self.folder} holds a comparison with {name}={found.get(name)}, not {settings[name]}: "
                "name another folder, or delete that one"
            )

    def read(self, method: str, size: str) -> Outcome | None:
        """What is kept of a method, or None.

        Raises:
            SettingsError: its file is damaged.
        """
        path = self._path(method, size)
        try:
            return Outcome(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            raise SettingsError(f"{path} is damaged: delete it to have this method run again") from None

    def write(self, outcome: Outcome) -> None:
        """Keep an outcome, whole or not at all.

        Raises:
            DiskError: it can't be written.
        """
        _write(self._path(outcome.method, outcome.size), asdict(outcome))

    def _path(self, method: str, size: str) -> Path:
        return self.folder / OUTCOMES / f"{method}@{size}.json"


def _write(path: Path, value: Any) -> None:
    written = path.with_name(f".{path.name}.new")
    try:
        write_json(written, value)
        written.replace(path)
    except OSError as error:
        raise DiskError(f"can't write to {path.parent}: {reason(error)}; what is done so far is kept") from None
