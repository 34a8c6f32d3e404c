"""Hugging Face's layout: the files, computed by an implementation of BERT that shares nothing with ours."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artifacts import artifact_of
from safetensors.numpy import load_file, save_file

from intent_bert.bert.huggingface_tokenizer import ids_by_file
from intent_bert.errors import CheckpointError, ModelFolderError, SettingsError
from intent_bert.export.huggingface import write_huggingface
from intent_bert.export.huggingface_classifier import read_classifier
from intent_bert.export.huggingface_import import import_model
from intent_bert.inference.predictor import IntentPredictor
from intent_bert.model.calibration import Calibration
from intent_bert.model.decision import Decision
from intent_bert.model.folder import ModelFolder
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.saved import Artifact

Array = np.ndarray
TEXTS = ["play my song", "will it rain tomorrow", "book a table at the restaurant now please", "rain", "play " * 40]


def bert_for_sequence_classification(folder: Path, ids: list[list[int]]) -> Array:
    """Logits of sentences, float32, one padded batch, from the files alone; the names are Hugging Face's."""
    config, w = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    assert all(array.dtype == np.float32 for array in w.values())
    longest = max(map(len, ids)) + 3
    padded = np.array([[*row, *[0] * (longest - len(row))] for row in ids])
    mask = np.where(padded == 0, np.float32(np.finfo("float32").min), np.float32(0))[:, None, None, :]

    def dense(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(config["layer_norm_eps"]))
        return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    def gelu(x: Array) -> Array:
        if config["hidden_act"] == "gelu":
            return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)).astype("float32"))
        assert config["hidden_act"] == "gelu_pytorch_tanh"
        return 0.5 * x * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)))

    e = "bert.embeddings."
    x = w[e + "word_embeddings.weight"][padded] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x + w[e + "position_embeddings.weight"][: padded.shape[1]], e + "LayerNorm")
    for number in range(config["num_hidden_layers"]):
        base, heads = f"bert.encoder.layer.{number}", config["num_attention_heads"]
        q, k, v = (
            dense(x, f"{base}.attention.self.{name}").reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(math.sqrt(q.shape[-1])) + mask
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        context = (powers / powers.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(dense(context, f"{base}.attention.output.dense") + x, f"{base}.attention.output.LayerNorm")
        inner = dense(gelu(dense(x, f"{base}.intermediate.dense")), f"{base}.output.dense")
        x = norm(inner + x, f"{base}.output.LayerNorm")
    assert x.dtype == np.float32
    return dense(np.tanh(dense(x[:, 0], "bert.pooler.dense")), "classifier")


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def exported(artifact: Artifact, folder: Path) -> Path:
    (folder.parent / "README.md").write_text("# A card\n")
    write_huggingface(artifact, folder, folder.parent / "README.md")
    return folder


def own_probabilities(artifact: Artifact, texts: list[str] = TEXTS) -> Array:
    ids, _ = artifact.tokenizer.encode(texts, artifact.max_seq_len)
    return artifact.decision.probabilities(KerasEngine(artifact.model).outputs(ids).logits)


@pytest.fixture
def artifact(quick_checkpoint) -> Artifact:
    made = artifact_of(quick_checkpoint, ["a", "B b", 3])
    made.decision = Decision(Calibration(1.7, 50, "validation"))
    return made


HEADS = [("cls", "dense"), ("cls", "linear"), ("mean", "linear"), ("mean", "cosine"), ("cls", "cosine")]


@pytest.mark.parametrize(("pooling", "head"), HEADS)
def test_the_files_give_the_calibrated_probabilities(quick_checkpoint, tmp_path, pooling, head):
    artifact = artifact_of(quick_checkpoint, list("abcdef"), pooling, head=head)
    artifact.decision = Decision(Calibration(1.7, 50, "validation"))
    folder = exported(artifact, tmp_path / "huggingface")
    ids = ids_by_file(folder, TEXTS, artifact.max_seq_len)
    assert ids == artifact.tokenizer.encode(TEXTS, artifact.max_seq_len)[0]
    found, expected = softmax(bert_for_sequence_classification(folder, ids)), own_probabilities(artifact)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.abs(expected - expected[:1]).max() > 0.001  # the sentences differ
    again = read_classifier(folder)
    np.testing.assert_allclose(own_probabilities(again), expected, atol=2e-6)
    assert again.encoder.num_layers == artifact.encoder.num_layers + (pooling == "mean" or head == "cosine")


def test_what_the_files_say(artifact, tmp_path):
    folder = exported(artifact, tmp_path / "huggingface")
    assert {entry.name for entry in folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "vocab.txt", "README.md",
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    expected = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "problem_type": "single_label_classification",
        "id2label": {"0": "a", "1": "B b", "2": "3"},
        "label2id": {"a": 0, "B b": 1, "3": 2},
        "hidden_act": "gelu_pytorch_tanh",  # the checkpoint is Google's
        "classifier_dropout": 0.5,
        "num_hidden_layers": 1,
    }
    assert {name: config[name] for name in expected} == expected
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n")
    assert "The probabilities are calibrated: the temperature, 1.700, is in the last layer." in card
    assert card.endswith("# A card\n")
    told = json.loads((folder / "tokenizer_config.json").read_text())
    assert (told["do_lower_case"], told["model_max_length"], told["split_special_tokens"]) == (True, 24, True)
    names = set(load_file(folder / "model.safetensors"))
    assert {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight"} < names
    assert all(name.startswith(("bert.", "classifier.")) for name in names)


def test_the_flavour_of_gelu_is_told(quick_checkpoint, tmp_path):
    checkpoint = shutil.copytree(quick_checkpoint, tmp_path / "uncased")
    config = json.loads((checkpoint / "bert_config.json").read_text())
    (checkpoint / "bert_config.json").write_text(json.dumps({**config, "gelu_approximate": False}))
    artifact = artifact_of(checkpoint, ["a", "b"])
    folder = exported(artifact, tmp_path / "huggingface")
    assert json.loads((folder / "config.json").read_text())["hidden_act"] == "gelu"
    ids = artifact.tokenizer.encode(TEXTS, artifact.max_seq_len)[0]
    found = softmax(bert_for_sequence_classification(folder, ids))
    np.testing.assert_allclose(found, own_probabilities(artifact), atol=2e-6)


def test_several_intents_are_sigmoids_with_their_thresholds(quick_checkpoint, tmp_path):
    artifact = artifact_of(quick_checkpoint, ["a", "b", "c"], "mean", head="linear")
    artifact.architecture.multi_label = True
    artifact.decision = MultiLabelDecision(thresholds=(0.25, 0.5, 0.75), fitted_on=9)
    folder = exported(artifact, tmp_path / "huggingface")
    assert json.loads((folder / "config.json").read_text())["problem_type"] == "multi_label_classification"
    ids = artifact.tokenizer.encode(TEXTS, artifact.max_seq_len)[0]
    found, expected = (
        1 / (1 + np.exp(-bert_for_sequence_classification(folder, ids))),
        1 / (1 + np.exp(-KerasEngine(artifact.model).outputs(ids).logits)),
    )
    np.testing.assert_allclose(found, expected, atol=5e-6)
    again = read_classifier(folder)
    assert again.decision.to_dict() == {"scores": "sigmoid", "thresholds": [0.25, 0.5, 0.75], "fitted_on": 0}
    assert "(a: 0.2500, b: 0.5000, c: 0.7500)" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("pooling", "head", "adapter_size", "told"),
    [
        ("max", "linear", None, "can't hold pooling 'max' with head 'linear': it can hold pooling and head cls with d"),
        ("mean", "dense", None, "can't hold pooling 'mean' with head 'dense': it can"),
        ("cls", "rnn", None, "can't hold pooling 'cls' with head 'rnn': it can"),
        ("cls", "dense", 4, "can't hold pooling 'cls' with head 'dense' and adapters: it can"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(quick_checkpoint, tmp_path, pooling, head, adapter_size, told):
    artifact = artifact_of(quick_checkpoint, ["a", "b"], pooling, adapter_size, head=head)
    with pytest.raises(SettingsError) as caught:
        write_huggingface(artifact, tmp_path / "huggingface", tmp_path / "no")
    assert str(caught.value).startswith(f"Hugging Face's BertForSequenceClassification {told}")
    assert str(caught.value).endswith("export to onnx, sealed or savedmodel instead")
    assert list(tmp_path.iterdir()) == []


def test_more_intents_than_the_added_layer_has_places_for(quick_checkpoint, tmp_path):
    artifact = artifact_of(quick_checkpoint, [str(number) for number in range(30)], "mean", head="linear")
    with pytest.raises(SettingsError, match="for up to 29 intents of an encoder this wide, not for 30"):
        write_huggingface(artifact, tmp_path / "huggingface", tmp_path / "no")


# --- and back ----------------------------------------------------------------------------------------------------


def test_an_imported_model_is_a_model_folder(artifact, tmp_path):
    folder = exported(artifact, tmp_path / "huggingface")
    assert import_model(folder, tmp_path / "model") == tmp_path / "model"
    predictor = IntentPredictor.load(tmp_path / "model")
    assert (predictor.engine, predictor.classes, predictor.max_seq_len) == ("onnx", ["a", "B b", "3"], 24)
    np.testing.assert_allclose(predictor.predict_proba(TEXTS), own_probabilities(artifact), atol=1e-6)
    opened = ModelFolder(tmp_path / "model")
    assert opened.decision == Decision()
    assert opened.config["settings"]["imported_from"] == "huggingface"
    card = (tmp_path / "model" / "README.md").read_text()
    assert card.startswith("# Intent recogniser: 3 intents\n\nImported from huggingface with intent_bert ")
    assert "Probabilities are not calibrated" in card
    with pytest.raises(ModelFolderError, match=r"won't write the model to .*: it is there already; name a new folder"):
        import_model(folder, tmp_path / "model")


def saved_by_transformers_5(folder: Path) -> None:
    """As ``save_pretrained`` of transformers 5 leaves a tokenizer: no vocab.txt, the casing in tokenizer.json alone."""
    (folder / "vocab.txt").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "do_lower_case": None}))


def saved_long_ago(folder: Path) -> None:
    """Old names of weights, half precision, no problem_type, other dropout, tokenizer from vocab.txt alone."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    config = json.loads((folder / "config.json").read_text())
    del config["problem_type"], config["classifier_dropout"]
    (folder / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.3, "position_ids": 1}))
    weights = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in load_file(folder / "model.safetensors").items()
    }
    weights["bert.embeddings.position_ids"] = np.arange(48)[None]
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize("change", [saved_by_transformers_5, saved_long_ago])
def test_folders_of_other_versions_are_read(artifact, tmp_path, change, caplog):
    folder = exported(artifact, tmp_path / "huggingface")
    change(folder)
    again = read_classifier(folder)
    assert [again.tokenizer.vocab[token] for token in artifact.tokenizer.vocab] == [*artifact.tokenizer.vocab.values()]
    assert again.tokenizer.do_lower_case is True
    assert again.architecture.dropout == (0.3 if change is saved_long_ago else 0.5)
    assert again.max_seq_len == (48 if change is saved_long_ago else 24)
    short = TEXTS[:-1]  # the last is cut, and only the tokenizer's files tell where
    np.testing.assert_allclose(own_probabilities(again, short), own_probabilities(artifact, short), atol=1e-6)
    assert caplog.messages == []


def config_with(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


def tokenizer_with(part: str, **changes: Any) -> Any:
    def change(folder: Path) -> None:
        whole = json.loads((folder / "tokenizer.json").read_text())
        whole[part] = {**whole[part], **changes}
        (folder / "tokenizer.json").write_text(json.dumps(whole))

    return change


def without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def without_weight(name: str) -> Any:
    def change(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        del weights[name]
        save_file(weights, folder / "model.safetensors")

    return change


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            config_with(architectures=["DistilBertForSequenceClassification"]),
            " holds DistilBertForSequenceClassificatio",
        ),
        (config_with(architectures=None), " holds no known model: only BertForSequenceClassification can be imported"),
        (config_with(problem_type="regression"), " is a model of regression: only one that names labels can be import"),
        (config_with(id2label=None), ": config.json has no id2label, which names the intents"),
        (config_with(id2label={"0": "a", "2": "b"}), ": id2label must name the outputs 0, 1, 2 ... of the model, each"),
        (config_with(id2label={"0": "a", "1": "a"}), ": id2label must hold two or more different labels, not 1"),
        (config_with(id2label={"0": "a", "1": "b"}), ": classifier/kernel is [32, 3], expected [32, 2]"),
        (config_with(model_type="roberta"), ": config.json says model_type 'roberta': only bert checkpoints can be lo"),
        (config_with(position_embedding_type="relative_key"), ": config.json says position_embedding_type 'relative_"),
        (config_with(num_hidden_layers=2), " does not fit the config: missing bert/encoder/layer_1/attention/output/L"),
        (config_with(format_version=2), " is a model folder of intent_bert already: use it as it is"),
        (without("config.json"), " has no config.json: expected a folder that transformers' save_pretrained wrote"),
        (pickled, " has no model.safetensors, but pytorch_model.bin, which is not read: save the model with transform"),
        (without_weight("bert.pooler.dense.weight"), "lacks bert/pooler/dense/kernel, which BertForSequenceClassifica"),
        (tokenizer_with("model", type="BPE"), " has the model BPE: only tokenizers with BERT's WordPiece can be read"),
        (tokenizer_with("normalizer", type="NFC"), " has the normalizer NFC: only tokenizers with BERT's BertNormaliz"),
        (tokenizer_with("normalizer", strip_accents=False), ": the tokenizer keeps accents and lower-cases: only both"),
        (tokenizer_with("normalizer", handle_chinese_chars=False), ": handle_chinese_chars is off: only tokenizers wi"),
    ],
)
def test_other_models_are_refused_in_a_sentence(artifact, tmp_path, change, told):
    folder = exported(artifact, tmp_path / "huggingface")
    change(folder)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError) as caught:
        import_model(folder, tmp_path / "model")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before
