"""What a comparison keeps of each method that is done, so that one that was interrupted goes on.

OUTPUT_DIR/outcomes.json    the settings, a fingerprint of the sentences, and an ``Outcome`` for each METHOD@SIZE
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from intent_bert.config import CompareConfig
from intent_bert.errors import DiskError, SettingsError
from intent_bert.files.atomic import check_writable, disk_errors
from intent_bert.files.state import SavedState

OUTCOMES_FILE = "outcomes.json"
_FORMER_FOLDER = "outcomes"  # where the first release kept them
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


class Outcomes:
    """The outcomes in an output folder, which is made, or found to hold a comparison with the same settings.

    Args:
        config: the settings; ``output_dir`` names the folder.
        fingerprint: of the sentences.

    Raises:
        SettingsError: the folder holds something else, or a comparison with other settings or sentences.
        DiskError: the folder can't be written, or what is kept in it is damaged.
    """

    def __init__(self, config: CompareConfig, fingerprint: str) -> None:
        self.folder = Path(config.output_dir)
        settings = {name: value for name, value in asdict(config).items() if name not in _FREE_TO_CHANGE}
        self._state = SavedState(
            self.folder / OUTCOMES_FILE,
            {**settings, "sentences": fingerprint},
            name=f"the comparison in {self.folder}",
            advice="name another folder, or delete that one",
            restart=f"delete {self.folder} to start from the beginning",
            hashes={"sentences": "other sentences or labels"},
        )
        kept = self._state.read()
        with disk_errors(self.folder):
            if kept is None:
                self._refuse_other_things()
            self.folder.mkdir(parents=True, exist_ok=True)
        check_writable(self.folder / OUTCOMES_FILE)  # before the first method runs
        self._values = kept or {}
        try:
            self._done = {key: Outcome(**value) for key, value in self._values.items()}
        except TypeError:
            raise DiskError(
                f"{self._state.path} is damaged: delete {self.folder} to start from the beginning"
            ) from None

    def _refuse_other_things(self) -> None:
        others = sorted(entry.name for entry in self.folder.iterdir()) if self.folder.exists() else []
        if _FORMER_FOLDER in others:
            raise SettingsError(
                f"{self.folder} holds a comparison that an earlier version of intent_bert wrote: name another folder, "
                "or delete that one"
            )
        if others:
            raise SettingsError(
                f"won't write into {self.folder}: it holds other things ({others[0]}); name a new folder"
            )

    def get(self, method: str, size: str) -> Outcome | None:
        """What is kept of a method, or None."""
        return self._done.get(f"{method}@{size}")

    def keep(self, outcome: Outcome) -> None:
        """Add an outcome; a kill at any moment leaves the former ones.

        Raises:
            DiskError: it can't be written.
        """
        key = f"{outcome.method}@{outcome.size}"
        self._done[key] = outcome
        self._values[key] = asdict(outcome)
        self._state.write(self._values)
