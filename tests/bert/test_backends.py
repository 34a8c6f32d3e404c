"""The encoder and the head on JAX: the hidden states of TensorFlow, and fits that learn."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import as_numpy, load

import intent_bert
from intent_bert.model.keras_engine import compiled, predict_in_batches
from intent_bert.model.network import create_model

PACKAGE = Path(intent_bert.__file__).parent
ON_JAX = """
import json, sys
import keras, numpy as np
from encoders import as_numpy, load
from intent_bert.errors import SettingsError
from intent_bert.model.keras_engine import compiled, predict_in_batches
from intent_bert.model.network import create_model
from intent_bert.training.optimizer import adamw

assert keras.backend.backend() == "jax"
arguments, inputs = json.loads(sys.argv[1]), np.load(sys.argv[2])
ids, types, mask = inputs["ids"], inputs["types"], inputs["mask"]
found, losses = {}, {}
for name, folder in arguments["checkpoints"].items():
    bert = load(folder)
    found[f"{name}/ids"] = as_numpy(bert(ids))
    found[f"{name}/segments"] = as_numpy(bert([ids, types], mask=mask))
model = create_model(32, arguments["checkpoints"]["tiny"], 3)
first = [layer.get_weights() for layer in (model.get_layer("dense"), model.get_layer("logits"))]
sentences = [row[row > 0] for row in ids]
found |= {f"head/{number}": value for number, value in enumerate(sum(first, []))}
found["probabilities"] = predict_in_batches(compiled(model), sentences, 3)
try:
    load(arguments["checkpoints"]["tiny"])(np.ones((1, 49), "int32"))
except SettingsError as error:
    losses["too long"] = str(error)
for name, optimizer in {"Adam": keras.optimizers.Adam(3e-3), "AdamW": adamw(3e-3, steps=30)}.items():
    keras.utils.set_random_seed(0)
    model = create_model(32, arguments["checkpoints"]["tiny"], 3)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    losses[name] = model.fit(ids, np.arange(len(ids)) % 3, epochs=15, batch_size=6, verbose=0).history["loss"]
np.savez(sys.argv[3], **found)
print(json.dumps(losses))
"""


pytestmark = pytest.mark.slow  # a process with JAX computes them all


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    """Twelve sentences of 1 to 9 tokens with padding, segments, and a mask with a hole."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 150, (12, 9)).astype("int32")
    for row in range(12):
        ids[row, 9 - row * 2 // 3 :] = 0
    mask = (ids != 0).astype("int32")
    mask[0, 3] = 0
    return {"ids": ids, "types": (np.arange(9)[None] > rng.integers(2, 9, (12, 1))).astype("int32"), "mask": mask}


@pytest.fixture(scope="module")
def checkpoints(tiny_checkpoint: Path) -> dict[str, str]:
    from intent_bert.files.cache import checkpoint_folder

    real = checkpoint_folder() / "all-MiniLM-L6-v2"
    return {"tiny": str(tiny_checkpoint)} | ({"real": str(real)} if real.is_dir() else {})


@pytest.fixture(scope="module")
def on_jax(
    inputs: dict[str, np.ndarray], checkpoints: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What the encoder and the classifier give on JAX, and the losses of its fits, from a process of its own."""
    pytest.importorskip("jax", reason="jax is not here: pip install intent_bert[test] brings it")
    folder = tmp_path_factory.mktemp("jax")
    np.savez(folder / "inputs.npz", **inputs)
    arguments = [json.dumps({"checkpoints": checkpoints}), folder / "inputs.npz", folder / "found.npz"]
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(PACKAGE.parent)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, *map(str, arguments)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as file:
        return dict(file), json.loads(done.stdout.splitlines()[-1])


def test_hidden_states_are_those_of_tensorflow(on_jax, inputs, checkpoints) -> None:
    found, _ = on_jax
    tokens = inputs["ids"] != 0
    for name, folder in checkpoints.items():
        bert = load(Path(folder))
        expected = {
            "ids": as_numpy(bert(inputs["ids"])),
            "segments": as_numpy(bert([inputs["ids"], inputs["types"]], mask=inputs["mask"])),
        }
        assert np.abs(expected["ids"] - expected["segments"])[tokens].max() > 0.01
        for kind, states in expected.items():
            np.testing.assert_allclose(found[f"{name}/{kind}"], states, rtol=0, atol=1e-4, err_msg=f"{name}, {kind}")


def test_probabilities_are_those_of_tensorflow(on_jax, inputs, tiny_checkpoint) -> None:
    found, _ = on_jax
    model = create_model(32, tiny_checkpoint, 3)
    for place, name in enumerate(("dense", "logits")):  # the head is new, and random in each process
        model.get_layer(name).set_weights([found[f"head/{2 * place}"], found[f"head/{2 * place + 1}"]])
    expected = predict_in_batches(compiled(model), [row[row > 0] for row in inputs["ids"]], 3)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW"])
def test_plain_fits_learn(on_jax, optimizer) -> None:
    _, losses = on_jax
    assert np.isfinite(losses[optimizer]).all()
    assert losses[optimizer][-1] < 0.8 * losses[optimizer][0]


def test_too_many_tokens_are_refused_on_jax(on_jax) -> None:
    assert "49 tokens are too many: this checkpoint has 48 positions" in on_jax[1]["too long"]


def test_tensorflow_stands_behind_one_module() -> None:
    """Only backend.py takes TensorFlow's shortcuts; checkpoint.py and pretrained.py read its files."""
    files = [
        *(PACKAGE / "bert").glob("*.py"),
        PACKAGE / "training" / "optimizer.py",
        PACKAGE / "training" / "frozen.py",
    ]
    with_tensorflow = {path.name for path in files if "import tensorflow" in path.read_text(encoding="utf-8")}
    assert with_tensorflow == {"backend.py", "checkpoint.py", "pretrained.py"}
