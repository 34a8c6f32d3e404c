"""The encoder against two that were written elsewhere: bert-for-tf2, run beside us, and Hugging Face's answers on file.

bert-for-tf2 computes GELU in the tanh form only, Hugging Face as its config says.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from intent_bert.bert.checkpoint import convert_checkpoint, load_stock_weights
from intent_bert.bert.config import BertConfig, params_from_pretrained_ckpt
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.tokenization import FullTokenizer

Arrays = dict[str, np.ndarray]
TOLERANCE = 1e-4
REFERENCES = Path(__file__).parent.parent / "references"
ADAPTER_SIZE = 6


def hidden_states(folder: Path, case: Arrays, adapters: Arrays | None = None, **changes: object) -> np.ndarray:
    """Our output of every encoder layer, (L, B, T, H)."""
    params = BertConfig.from_dict(params_from_pretrained_ckpt(folder).to_dict() | changes)
    params.out_layer_ndxs = list(range(params.num_layers))
    params.adapter_size = ADAPTER_SIZE if adapters else None
    bert = BertModelLayer.from_params(params, name="bert")
    bert.build((None, None))
    load_stock_weights(bert, folder)
    for name, value in (adapters or {}).items():
        place, kind = name.removeprefix("bert/encoder/").rsplit("/", 1)
        variables = {variable.path: variable for variable in bert.weights}
        variables[f"bert/{place.replace('attention/output', 'attention_output')}/{kind}"].assign(value)
    outputs = bert([case["input_ids"], case["token_type_ids"]], mask=case.get("mask"), training=False)
    return np.stack([keras.ops.convert_to_numpy(output) for output in outputs])


def greatest_difference(first: np.ndarray, second: np.ndarray) -> float:
    assert first.shape == second.shape
    return float(np.abs(first - second).max())


# --- bert-for-tf2 ---------------------------------------------------------------------------------------------------


def bert_for_tf2(folder: Path, cases: dict[str, Arrays], work: Path) -> dict[str, np.ndarray]:
    """The same states from bert-for-tf2, in a process of its own."""
    for module, package in (("bert", "bert-for-tf2==0.14.9"), ("tf_keras", "tf_keras")):
        if importlib.util.find_spec(module) is None or (module == "bert" and not _is_bert_for_tf2()):
            pytest.skip(f"{package} is not installed: pip install {package}")
    np.savez(
        work / "cases.npz", **{f"{case}/{name}": a for case, arrays in cases.items() for name, a in arrays.items()}
    )
    script = REFERENCES / "bert_for_tf2_reference.py"
    done = subprocess.run(
        [sys.executable, script, folder, work / "cases.npz", work / "states.npz"],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(work / "states.npz") as states:
        layers = len(states.files) // len(cases.keys() - {"adapters"})
        return {
            case: np.stack([states[f"{case}/layer_{index}"] for index in range(layers)])
            for case in cases
            if case != "adapters"
        }


def _is_bert_for_tf2() -> bool:
    spec = importlib.util.find_spec("bert")
    return spec is not None and spec.origin is not None and (Path(spec.origin).parent / "loader.py").is_file()


def make_cases(vocab_size: int, longest: int) -> dict[str, Arrays]:
    rng = np.random.default_rng(11)
    full = rng.integers(5, vocab_size, (2, longest)).astype("int32")
    padded = rng.integers(5, vocab_size, (3, longest)).astype("int32")
    padded[1, longest // 2 :] = padded[2, 2:] = 0
    segments = np.zeros_like(padded)
    segments[:, longest // 3 :] = 1
    mask = (padded != 0).astype("int32")
    with_hole = mask.copy()
    with_hole[:, 1] = 0
    nothing = np.zeros_like(padded)
    return {
        "full": {"input_ids": full, "token_type_ids": nothing[:2], "mask": np.ones_like(full)},
        "padded": {"input_ids": padded, "token_type_ids": nothing, "mask": mask},
        "segments": {"input_ids": padded, "token_type_ids": segments, "mask": mask},
        "hole": {"input_ids": padded, "token_type_ids": segments, "mask": with_hole},
        "no mask": {"input_ids": padded, "token_type_ids": segments},
    }


TINY_CASES = make_cases(vocab_size=160, longest=12)
MASKED = ["full", "padded", "segments", "hole"]


@pytest.fixture(scope="module")
def theirs(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return bert_for_tf2(tiny_checkpoint, TINY_CASES, tmp_path_factory.mktemp("bert_for_tf2"))


@pytest.mark.parametrize("case", MASKED)
def test_every_layer_as_bert_for_tf2_computes_it(
    tiny_checkpoint: Path, theirs: dict[str, np.ndarray], case: str
) -> None:
    assert greatest_difference(hidden_states(tiny_checkpoint, TINY_CASES[case]), theirs[case]) < TOLERANCE


def test_the_comparison_can_fail(tiny_checkpoint: Path, theirs: dict[str, np.ndarray]) -> None:
    """Without the mask, the segments or the right GELU the same comparison is far off."""
    ours = hidden_states(tiny_checkpoint, TINY_CASES["no mask"])  # ours makes the mask from the ids
    assert greatest_difference(ours, theirs["no mask"]) > 0.1
    assert greatest_difference(ours, theirs["segments"]) < TOLERANCE
    assert greatest_difference(ours, theirs["padded"]) > 0.1
    assert greatest_difference(ours, theirs["hole"]) > 0.1
    erf = hidden_states(tiny_checkpoint, TINY_CASES["segments"], gelu_approximate=False)
    assert greatest_difference(erf, theirs["segments"]) > 2 * TOLERANCE


@pytest.mark.slow
def test_adapters_as_bert_for_tf2_computes_them(tiny_checkpoint: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    adapters: Arrays = {}
    for index in range(4):
        for part in ("attention/output", "output"):
            base = f"bert/encoder/layer_{index}/{part}/adapter"
            adapters[f"{base}-down/kernel"] = rng.normal(0, 0.3, (32, ADAPTER_SIZE)).astype("float32")
            adapters[f"{base}-down/bias"] = rng.normal(0, 0.3, ADAPTER_SIZE).astype("float32")
            adapters[f"{base}-up/kernel"] = rng.normal(0, 0.3, (ADAPTER_SIZE, 32)).astype("float32")
            adapters[f"{base}-up/bias"] = rng.normal(0, 0.3, 32).astype("float32")
    case = TINY_CASES["segments"]
    theirs = bert_for_tf2(tiny_checkpoint, {"segments": case, "adapters": adapters}, tmp_path)["segments"]
    assert greatest_difference(hidden_states(tiny_checkpoint, case, adapters), theirs) < TOLERANCE
    assert greatest_difference(hidden_states(tiny_checkpoint, case), theirs) > 0.1


@pytest.mark.slow
@pytest.mark.real_weights
def test_real_weights_as_bert_for_tf2_computes_them(real_checkpoint: Path, tmp_path: Path) -> None:
    """The checkpoint asks for the erf GELU, which bert-for-tf2 lacks: so both compute the tanh form here."""
    cases = {name: make_cases(30_522, 24)[name] for name in ("segments", "hole")}
    theirs = bert_for_tf2(real_checkpoint, cases, tmp_path)
    for name, case in cases.items():
        assert (
            greatest_difference(hidden_states(real_checkpoint, case, gelu_approximate=True), theirs[name]) < TOLERANCE
        )
    erf = greatest_difference(hidden_states(real_checkpoint, cases["segments"]), theirs["segments"])
    assert TOLERANCE < erf < 0.1


# --- Hugging Face, through scripts/make_reference_vectors.py ---------------------------------------------------------


@pytest.fixture(scope="module")
def vectors() -> Arrays:
    with np.load(REFERENCES / "huggingface_vectors.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def tiny_huggingface(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("huggingface")
    convert_checkpoint(tiny_checkpoint, folder, to="huggingface")
    return folder


@pytest.mark.parametrize("layout", ["tiny_checkpoint", "tiny_huggingface"])
def test_every_layer_as_hugging_face_computes_it(vectors: Arrays, layout: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(layout)
    ids = vectors["tiny_full_ids"]
    full = {"input_ids": ids, "token_type_ids": np.zeros_like(ids)}
    assert greatest_difference(hidden_states(folder, full), vectors["tiny_full_states"]) < TOLERANCE
    padded = {"input_ids": vectors["tiny_padded_ids"], "token_type_ids": vectors["tiny_padded_types"]}
    with_hole = padded | {"mask": vectors["tiny_padded_mask"]}
    assert greatest_difference(hidden_states(folder, with_hole), vectors["tiny_padded_states"]) < TOLERANCE
    assert greatest_difference(hidden_states(folder, padded), vectors["tiny_padded_states"]) > 0.1  # without the hole


@pytest.mark.real_weights
def test_real_weights_as_hugging_face_computes_them(vectors: Arrays, real_checkpoint: Path) -> None:
    ids = vectors["real_ids"]
    states = hidden_states(real_checkpoint, {"input_ids": ids, "token_type_ids": np.zeros_like(ids)})
    assert greatest_difference(states[:, :, :4, ::16], vectors["real_slice"]) < TOLERANCE
    assert greatest_difference(states[-1][:, 0], vectors["real_cls"]) < TOLERANCE
    mask = (ids != 0)[:, :, None]
    mean = (states[-1] * mask).sum(1) / mask.sum(1)
    assert greatest_difference(mean, vectors["real_mean"]) < TOLERANCE
    tanh = hidden_states(
        real_checkpoint, {"input_ids": ids, "token_type_ids": np.zeros_like(ids)}, gelu_approximate=True
    )
    assert greatest_difference(tanh[-1][:, 0], vectors["real_cls"]) > TOLERANCE


@pytest.mark.real_weights
def test_real_sentences_alone_as_hugging_face_computes_them(vectors: Arrays, real_checkpoint: Path) -> None:
    """From the text on: our ids, one sentence at a time, without padding."""
    tokenizer = FullTokenizer(real_checkpoint / "vocab.txt")
    bert = BertModelLayer.from_params(params_from_pretrained_ckpt(real_checkpoint), name="bert")
    bert.build((None, None))
    load_stock_weights(bert, real_checkpoint)
    rows, _ = tokenizer.encode([str(text) for text in vectors["real_texts"]], 64)
    for row, ids, cls in zip(rows, vectors["real_ids"], vectors["real_alone_cls"], strict=True):
        assert row == [int(number) for number in ids if number]
        ours = keras.ops.convert_to_numpy(bert(np.array([row], "int32")))[0, 0]
        assert greatest_difference(ours, cls) < TOLERANCE


def test_the_vectors_say_what_made_them(vectors: Arrays) -> None:
    assert set(json.loads(str(vectors["versions"]))) == {"torch", "transformers", "tokenizers"}
