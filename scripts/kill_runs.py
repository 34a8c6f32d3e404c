"""Kill ``train`` and ``predict --output`` at random moments, resume them, and compare with undisturbed runs.

    python scripts/kill_runs.py --kills 100 --seed 0

Each command runs in a process of its own, forked from one that has TensorFlow imported and not yet started, and gets a
SIGKILL after a random time. Then it is resumed, every other time to be killed again. What it leaves in the end must be
what the undisturbed run has left: the same weights, the same file, and nothing else. The model and the table are tiny;
figures go to stdout, one line for each command, and the exit code is 1 where anything differed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

# ruff: noqa: E402
import h5py
import numpy as np
import onnxruntime  # noqa: F401  (what the children need, imported once)
import sklearn.metrics  # noqa: F401
import tensorflow  # noqa: F401
from conftest import PHRASES, TINY_CONFIG, tiny_vocab, tiny_weights

import intent_bert.evaluation.plots
import intent_bert.training.run  # noqa: F401
from intent_bert.bert.checkpoint import CHECKPOINT_PREFIX, write_stock_weights
from intent_bert.cli import main as intent_bert_command
from intent_bert.inference import prediction_file

ROWS = 4000  # of the table that is predicted
CHUNK = 256  # rows at a time, fewer than usual, so that there is something between the first and the last chunk
SAME = 1e-6  # by which weights may differ


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="of each command (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--only", choices=("train", "predict"), help="one command alone")
    options = parser.parse_args(arguments)
    prediction_file.CHUNK = CHUNK
    with tempfile.TemporaryDirectory(prefix="kill-runs-") as work:
        place = Path(work)
        checkpoint = place / "uncased_tiny"
        in_a_process(lambda: write_checkpoint(checkpoint))  # which starts TensorFlow
        training = Training(write_table(place / "train.csv"), checkpoint)
        model = place / "undisturbed" / "model"
        seconds = training.undisturbed(model)
        faults = 0
        if options.only != "predict":
            faults += kill_often(training, model, place / "killed", seconds, options.kills, options.seed)
        if options.only != "train":
            prediction = Prediction(model, write_rows(place / "rows.csv"))
            expected = place / "undisturbed" / "out.csv"
            seconds = prediction.undisturbed(expected)
            faults += kill_often(prediction, expected, place / "killed", seconds, options.kills, options.seed)
    return 1 if faults else 0


# --- what is run -------------------------------------------------------------------------------------------------


class Command:
    """A command that writes one thing, and how to tell whether two of these are the same."""

    name: str

    def arguments(self, output: Path) -> list[str]:
        raise NotImplementedError

    def differences(self, output: Path, expected: Path) -> list[str]:
        raise NotImplementedError

    def damage(self, output: Path) -> str | None:
        """What is wrong with what a kill has left; half an output is."""
        raise NotImplementedError

    def undisturbed(self, output: Path) -> float:
        """Run it to its end; gives the seconds."""
        output.parent.mkdir(exist_ok=True)
        started = time.perf_counter()
        status, said = run(self.arguments(output))
        if status:
            raise SystemExit(f"the undisturbed {self.name} failed:\n{said}")
        return time.perf_counter() - started


class Training(Command):
    name = "train"

    def __init__(self, table: Path, checkpoint: Path) -> None:
        self.table, self.checkpoint = table, checkpoint

    def arguments(self, output: Path) -> list[str]:
        settings = {
            "train-file": self.table, "checkpoint": self.checkpoint, "output-dir": output, "log-dir": output / "board",
            "epochs": 3, "batch-size": 16, "learning-rate": 2e-3, "max-seq-len": 32,
        }  # fmt: skip
        return ["train", "--resume", *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]

    def differences(self, output: Path, expected: Path) -> list[str]:
        found, wanted = weights_in(output), weights_in(expected)
        if found.keys() != wanted.keys():
            return ["other weights"]
        largest = max(float(np.abs(found[name] - wanted[name]).max()) for name in wanted)
        names = {entry.name for entry in output.iterdir()} ^ {entry.name for entry in expected.iterdir()}
        return [f"weights differ by {largest:.1e}"] * (largest > SAME) + [f"stray {name}" for name in sorted(names)]

    def damage(self, output: Path) -> str | None:
        if not (output / "config.json").exists():
            return None
        from intent_bert.errors import ModelFolderError
        from intent_bert.model.folder import ModelFolder

        try:
            folder = ModelFolder(output)
            for name in folder.config["sha256"].keys() - {"config.json"}:
                folder.file(name)
        except ModelFolderError as error:
            return str(error)
        return None


class Prediction(Command):
    name = "predict"

    def __init__(self, model: Path, rows: Path) -> None:
        self.model, self.rows = model, rows

    def arguments(self, output: Path) -> list[str]:
        return ["predict", str(self.model), "--input", str(self.rows), "--output", str(output), "--resume"]

    def differences(self, output: Path, expected: Path) -> list[str]:
        return [] if output.read_bytes() == expected.read_bytes() else ["the file differs"]

    def damage(self, output: Path) -> str | None:
        lines = output.read_bytes().count(b"\n") if output.exists() else ROWS + 1
        return None if lines == ROWS + 1 else f"{lines} lines"


def weights_in(folder: Path) -> dict[str, np.ndarray]:
    weights: dict[str, np.ndarray] = {}
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(lambda name, entry: weights.update({name: entry[()]} if hasattr(entry, "shape") else {}))
    return weights


# --- killing -----------------------------------------------------------------------------------------------------


def kill_often(command: Command, expected: Path, work: Path, seconds: float, kills: int, seed: int) -> int:
    """Kill so many runs, and print what came of them; gives the number of faults."""
    moments, counts, faults = random.Random(seed), Counter[str](), []
    work.mkdir(exist_ok=True)
    output, started, killed = work / expected.name, time.perf_counter(), False
    while counts["kills"] < kills:
        fresh = not output.parent.is_dir() or not any(output.parent.iterdir())
        seconds_left = moments.uniform(0, 1.05 * seconds) if not killed or moments.random() < 0.5 else None
        begun = time.perf_counter()
        status, said = run(command.arguments(output), seconds_left)
        if fresh and status == 0:
            seconds = time.perf_counter() - begun  # as fast as the machine is now
        killed = status is None
        if killed:
            counts["kills"] += 1
            if counts["kills"] % 10 == 0:
                print(f"{command.name}: {counts['kills']} kills, {counts['ends']} ends", file=sys.stderr, flush=True)
            problem = command.damage(output)
            faults += [f"after a kill: {problem}"] * (problem is not None)
            continue
        if status == 2 and "is there already" in said and not leftovers(output):
            status = 0  # the kill before came when all was done
        faults += [f"exit {status}: {said}"] * (status != 0)
        faults += finished(command, output, expected) if status == 0 else []
        counts["ends"] += 1
        shutil.rmtree(work)
        work.mkdir()
    status, said = run(command.arguments(output))  # what the last kill has left
    if status == 0 or "is there already" in said:
        faults += finished(command, output, expected)
    else:
        faults.append(f"exit {status}: {said}")
    counts["ends"] += 1
    shutil.rmtree(work)
    facts = {"command": command.name, **counts, "faults": len(faults), "seed": seed}
    facts |= {"undisturbed_seconds": round(seconds, 1), "seconds": round(time.perf_counter() - started)}
    print(json.dumps(facts), flush=True)
    for fault in faults:
        print(f"{command.name}: {fault}", file=sys.stderr)
    return len(faults)


def finished(command: Command, output: Path, expected: Path) -> list[str]:
    return command.differences(output, expected) + [f"left behind: {name}" for name in leftovers(output)]


def leftovers(output: Path) -> list[str]:
    return sorted(entry.name for entry in output.parent.iterdir() if entry != output)


def run(arguments: list[str], seconds: float | None = None) -> tuple[int | None, str]:
    """Run a command in a forked process; its exit code (None: it was killed) and what it said on stderr."""
    return in_a_process(lambda: intent_bert_command(arguments), seconds)


def in_a_process(work: Callable[[], int], seconds: float | None = None) -> tuple[int | None, str]:
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            _become(work, said.fileno())
        status = _wait(child, seconds)
        said.seek(0)
        return status, said.read().decode(errors="replace")


def _become(work: Callable[[], int], stderr: int) -> None:
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(stderr, 2)
        status = work()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, seconds: float | None) -> int | None:
    end = time.perf_counter() + seconds if seconds is not None else float("inf")
    while time.perf_counter() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


# --- the tiny things ---------------------------------------------------------------------------------------------


def write_checkpoint(folder: Path) -> int:
    folder.mkdir()
    config = {**TINY_CONFIG, "num_hidden_layers": 1}
    (folder / "bert_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(tiny_vocab()) + "\n")
    write_stock_weights(tiny_weights(config), folder / CHECKPOINT_PREFIX)
    return 0


def write_table(path: Path) -> Path:
    lines = [f"{phrase} {end},{intent}" for intent, phrases in PHRASES.items() for phrase in phrases for end in ENDINGS]
    path.write_text("\n".join(["text,intent", *lines]) + "\n")
    return path


def write_rows(path: Path) -> Path:
    phrases = [phrase for each in PHRASES.values() for phrase in each]
    lines = [f"{number},{phrases[number % len(phrases)]} {number}" for number in range(ROWS)]
    path.write_text("\n".join(["id,text", *lines]) + "\n")
    return path


ENDINGS = ("please", "now", "!", "tomorrow", "for me")

if __name__ == "__main__":
    raise SystemExit(main())
