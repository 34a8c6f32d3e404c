"""A graph with strings: its tokens beside ours, in a process without TensorFlow; and what it says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from artifacts import artifact_of
from references.nasty_texts import NASTY

from intent_bert.bert.tokenization import FullTokenizer
from intent_bert.errors import ModelFolderError
from intent_bert.export.onnx_strings import strings_model, tokenizer_model, write_strings
from intent_bert.export.strings_check import random_texts
from intent_bert.model.calibration import Calibration
from intent_bert.model.decision import Decision
from intent_bert.model.keras_engine import KerasEngine

pytest.importorskip("onnxruntime_extensions")
ASK = """
import json, sys
import numpy as np
from pathlib import Path
from intent_bert.export.strings_check import open_session
model, outputs, texts = json.load(sys.stdin)
session = open_session(Path(model))
found = [session.run(outputs, {"text": np.array(batch, object)}) for batch in texts]
assert not {"keras", "tensorflow"} & set(sys.modules)
print(json.dumps([[array.tolist() for array in each] for each in found]))
"""


def asked(model: Path, outputs: list[str], batches: list[list[str]]) -> list[list]:
    question = json.dumps([str(model), outputs, batches])
    done = subprocess.run([sys.executable, "-c", ASK], input=question, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("lower_case", [True, False])
def test_the_tokens_are_ours_in_whole_batches_and_alone(quick_checkpoint, tmp_path, lower_case):
    (tmp_path / "vocab.txt").write_bytes((quick_checkpoint / "vocab.txt").read_bytes())
    tokenizer = FullTokenizer(tmp_path / "vocab.txt", lower_case)
    (tmp_path / "tokenizer.onnx").write_bytes(tokenizer_model(tokenizer, 24).SerializeToString())
    nasty = [text for name, text in NASTY.items() if name != "control characters"]  # which holds a NUL
    batches = [nasty, ["", "  "], ["play"], random_texts(tokenizer, 300), *([text] for text in nasty)]
    for batch, (ids, wordless) in zip(
        batches, asked(tmp_path / "tokenizer.onnx", ["input_ids", "wordless"], batches), strict=True
    ):
        expected, _ = tokenizer.encode(batch, 24)
        longest = max(map(len, expected))
        assert ids == [[*row, *[0] * (longest - len(row))] for row in expected]
        assert wordless == [len(row) == 2 for row in expected]


@pytest.mark.slow
def test_ten_thousand_random_texts_of_the_real_vocabulary(real_checkpoint, tmp_path):
    tokenizer = FullTokenizer(real_checkpoint / "vocab.txt")
    (tmp_path / "tokenizer.onnx").write_bytes(tokenizer_model(tokenizer, 192).SerializeToString())
    texts = random_texts(tokenizer, 10_000)
    assert len({character for text in texts for character in text}) > 20_000
    batches = [texts[start : start + 250] for start in range(0, len(texts), 250)]
    for batch, (ids,) in zip(batches, asked(tmp_path / "tokenizer.onnx", ["input_ids"], batches), strict=True):
        expected, _ = tokenizer.encode(batch, 192)
        longest = max(map(len, expected))
        assert ids == [[*row, *[0] * (longest - len(row))] for row in expected]


def test_it_says_what_the_model_says(quick_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("intent_bert.export.onnx_strings.RANDOM_TEXTS", 100)
    artifact = artifact_of(quick_checkpoint, ["a", "b", 3])
    artifact.decision = Decision(Calibration(1.7, 50, "validation"))
    texts = ["play my song", "", "Will it RAIN, tomorrow?", "book " * 60]
    found = write_strings(artifact, tmp_path / "model.strings.onnx")(texts)
    ids, _ = artifact.tokenizer.encode(texts, artifact.max_seq_len)
    wordless = np.array([False, True, False, False])
    expected = artifact.decision.predictions(KerasEngine(artifact.model).outputs(ids), wordless)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
    assert found.numbers.tolist() == expected.numbers.tolist()
    ((intents, labels),) = asked(tmp_path / "model.strings.onnx", ["intent", "labels"], [texts])
    assert labels == ["a", "b", "3"]
    assert intents == ["" if number < 0 else labels[number] for number in expected.numbers]


def test_a_graph_with_other_tokens_is_refused(quick_checkpoint, tmp_path, monkeypatch):
    artifact = artifact_of(quick_checkpoint, ["a", "b"])
    drawn = tokenizer_model

    def wrong(tokenizer: FullTokenizer, max_seq_len: int) -> object:
        return drawn(tokenizer, max_seq_len - 1)

    monkeypatch.setattr("intent_bert.export.onnx_strings.RANDOM_TEXTS", 10)
    monkeypatch.setattr("intent_bert.export.onnx_strings.tokenizer_model", wrong)
    with pytest.raises(ModelFolderError, match=r"^no graph with strings was written: 'play play .*' has other tokens"):
        write_strings(artifact, tmp_path / "model.strings.onnx")(["play " * 40])
    assert strings_model(artifact).graph.input[0].name == "text"
