"""The command line as the tests call it, and what a mistake must look like."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from intent_bert.cli import main


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    """A command's exit code, stdout and stderr."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's way
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_apart(names: Sequence[str], *arguments: object) -> tuple[int, list[str], str, str]:
    """A command in a process of its own: its exit code, which of ``names`` it imported, its stdout and stderr."""
    script = f"""
import atexit, json, sys
from intent_bert.cli import main

atexit.register(lambda: print(json.dumps([name for name in {list(names)!r} if name in sys.modules])))
sys.exit(main(sys.argv[1:]))
"""
    words = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    *out, imported = done.stdout.splitlines(keepends=True)
    return done.returncode, json.loads(imported), "".join(out), done.stderr


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def check_refusal(result: tuple[int, str, str], expected: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    *warnings, sentence = err.splitlines()
    assert sentence.startswith("intent-bert")
    assert expected in sentence
    assert all(not line.startswith(("Traceback", "usage", "intent-bert")) for line in warnings)


def check_mistake(capsys: Any, place: Path, trained: Any, arguments: list[str], expected: str) -> None:
    """A command with MODEL, DAMAGED or FOREIGN in place of a folder: exit 2, one sentence, nothing written."""
    if "DAMAGED" in arguments:
        shutil.copytree(trained.folder, "damaged")
        Path("damaged/vocab.txt").unlink()
    if "FOREIGN" in arguments:
        shutil.copytree(trained.folder, "foreign")
        Path("foreign/model.onnx").write_bytes(b"of another model")
    before = snapshot(place)
    names = {"MODEL": str(trained.folder), "DAMAGED": "damaged", "FOREIGN": "foreign"}
    code, out, err = run(capsys, *(names.get(argument, argument) for argument in arguments))
    assert code == 2
    assert expected in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("intent-bert")
    assert out == "" or arguments[0] == "datasets"
    assert snapshot(place) == before
