"""What a run of predictions leaves while it is under way, so that ``resume`` can go on with it.

    out.csv.unfinished/predictions   the rows so far, a chunk appended at a time
    out.csv.unfinished/state.json    the run's settings, and how many rows and bytes are whole
    out.csv.unfinished/joined.csv    the output, just before it gets its own name

A chunk counts once ``state.json`` says so: what stands behind it in the file is cut off by the next run.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from intent_bert.errors import DiskError, SettingsError
from intent_bert.files.atomic import disk_errors
from intent_bert.files.state import SavedState
from intent_bert.inference.prediction_formats import PredictionFormat

UNFINISHED = ".unfinished"  # behind the output's name: the folder of a run that has not ended


@dataclass
class Done:
    """What is whole: so many rows with this fingerprint, in so many bytes; ``whole`` when there are no more."""

    rows: int = 0
    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    whole: bool = False


class UnfinishedPredictions:
    """The folder beside the output in which the predictions gather; for one writer at a time."""

    def __init__(self, output: Path, settings: Mapping[str, Any], format: PredictionFormat) -> None:
        self.output, self.format = output, format
        self.folder = output.with_name(output.name + UNFINISHED)
        self.appended, self.joined = self.folder / "predictions", self.folder / f"joined{output.suffix}"
        self.state = SavedState(
            self.folder / "state.json",
            settings,
            name="the run that was stopped",
            advice=f"go on with the same, or delete {self.folder} to start from the beginning",
            restart=f"delete {self.folder} to start from the beginning",
            hashes={"model": "another model"},
        )

    def open(self, resume: bool) -> Done:
        """How far the run has come that is to be gone on with."""
        if self.output.exists():
            finished = None
            if not self._left_to_do():
                finished = self._read() if resume and self.folder.is_dir() else None
                shutil.rmtree(self.folder, ignore_errors=True)
            if finished is None or not finished.whole:
                raise SettingsError(f"{self.output} is there already: name another file, or delete it")
            return finished
        done = self._read()
        if done is None:
            shutil.rmtree(self.folder, ignore_errors=True)  # nothing in it was whole
            with disk_errors(self.output):
                self.folder.mkdir()
            return Done()
        if not resume:
            raise SettingsError(
                f"{self.folder} is left of a run that was stopped: go on with --resume, or delete that folder"
            )
        if not done.whole and not (self.appended.is_file() and self.appended.stat().st_size >= done.bytes):
            raise DiskError(f"{self.appended} is shorter than it was: delete {self.folder} to start from the beginning")
        return done

    def leave(self, done: Done) -> None:
        """End without an output: what is whole stays for the next run."""
        if not done.rows:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _left_to_do(self) -> bool:
        """Whether the folder holds predictions that have not become the output."""
        return self.appended.exists() or self.joined.exists()

    def _read(self) -> Done | None:
        values = self.state.read()
        try:
            return None if values is None else Done(**values)
        except TypeError:
            raise DiskError(f"{self.state.path} is damaged: {self.state.restart}") from None

    def writer(self, done: Done) -> BinaryIO:
        """The file of the predictions, cut off behind the last whole chunk."""
        with self._disk_errors():
            stream = self.appended.open("r+b" if done.rows else "wb")
            stream.truncate(done.bytes)
            stream.seek(done.bytes)
        return stream

    def keep(self, stream: BinaryIO, rows: Sequence[Mapping[str, Any]], done: Done) -> None:
        """Write a chunk; it is whole from here on."""
        content = self.format.encode(rows)
        with self._disk_errors():
            stream.write(content if done.bytes else self.format.head() + content)
            stream.flush()
            os.fsync(stream.fileno())
            done.bytes = stream.tell()
            self.state.write(asdict(done))

    def finish(self, done: Done) -> None:
        """Give the predictions their own name; a run that is killed in between goes on here."""
        with self._disk_errors():
            if not done.whole:
                done.whole = True
                self.state.write(asdict(done))
            if self.appended.exists():
                self.format.join(self.appended, self.joined)
            if self.joined.exists():
                if self.output.exists():
                    raise SettingsError(f"{self.output} has come meanwhile: move it away, and go on with --resume")
                self.joined.rename(self.output)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _disk_errors(self) -> Any:
        return disk_errors(self.output, "what was predicted before is kept for --resume")
