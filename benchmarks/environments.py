"""The interpreters that the measurements run in: two environments of the peers, made here, and the product's own.

The product's environment is the one that intent_bert is installed in; it is used and never changed.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDER = HERE / ".venvs"
PRODUCT = "product"
STEPS: dict[str, tuple[tuple[str, ...], ...]] = {  # environment -> the arguments of pip install, one call after another
    "torch": (("torch==2.13.0",), ("-r", "requirements-peers.txt")),
    "keras": (
        ("setuptools>=67.8,<70", "wheel"),
        ("--no-build-isolation", "-r", "requirements-peers-keras.txt"),
    ),
}


def interpreter(environment: str, product_python: str) -> str:
    return product_python if environment == PRODUCT else str(FOLDER / environment / "bin" / "python")


def variables(environment: str) -> dict[str, str]:
    """The environment variables of a measurement: this checkout for the product, nothing of it for the peers."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    kept |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "PYTHONUNBUFFERED": "1"}
    if environment == PRODUCT:
        return {**kept, "PYTHONPATH": str(ROOT)}
    return {**kept, "HF_HUB_OFFLINE": "1"}


def make(environments: Iterable[str]) -> None:
    """Make the peers' environments that are missing or whose requirements have changed."""
    for name in environments:
        if name == PRODUCT:
            continue
        wanted = _fingerprint(name)
        stamp = FOLDER / name / "installed"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
            continue
        print(f"making the peers' environment {name} (some minutes and GB) ...", file=sys.stderr)
        _run(sys.executable, "-m", "venv", "--clear", str(FOLDER / name))
        for arguments in STEPS[name]:
            _run(interpreter(name, ""), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)
        stamp.write_text(wanted, encoding="utf-8")


def check_product(python: str) -> None:
    """Stop with one sentence where the product's interpreter has no intent_bert's packages."""
    code = "import tensorflow, keras, tokenizers, pandas, matplotlib"
    try:
        done = subprocess.run([python, "-c", code], env=variables(PRODUCT), capture_output=True, text=True)
    except OSError as error:
        raise SystemExit(f"can't run {python}: {error.strerror}; name the product's Python with --python") from None
    if done.returncode:
        reason = done.stderr.strip().split("\n")[-1]
        raise SystemExit(
            f"{python} can't run intent_bert ({reason}): make its environment first (scripts/quickstart makes .venv) "
            "and run the benchmarks with it, as in .venv/bin/python benchmarks/run.py, or name it with --python"
        )


def _fingerprint(name: str) -> str:
    files = [HERE / word for step in STEPS[name] for word in step if word.endswith(".txt")]
    texts = [repr(STEPS[name]), sys.version, *(file.read_text(encoding="utf-8") for file in files)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"this failed, see above: {' '.join(Path(word).name for word in command[:1])} {command[1:]}")
