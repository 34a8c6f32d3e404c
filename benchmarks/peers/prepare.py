"""What a size of encoder needs before the peers can run, made once by intent_bert; runs in the product's environment.

    python prepare.py SIZE WORK_FOLDER

For ``minilm`` the checkpoint is all-MiniLM-L6-v2, for ``base`` an encoder of BERT-base's size with random weights and
the same vocabulary. In WORK_FOLDER/SIZE it leaves

    stock                  the checkpoint in Google's layout: intent_bert, bert-for-tf2
    huggingface            the same in Hugging Face's layout: transformers, sentence-transformers, KerasHub
    model                  a model folder of intent_bert, with its ONNX file and the one in int8
    classifier             the weights of ``model`` as a BertForSequenceClassification: the same function
    facts.json             the encoder's shape, and the tokens of every SNIPS sentence

and prints, as one line, facts.json's path and the data folder.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from protocol import MIXED_SOURCES

from intent_bert import IntentBertError, TrainingConfig, read_table, train
from intent_bert.bert import StockBertConfig, convert_checkpoint, fetch, map_stock_config_to_params
from intent_bert.bert.checkpoint import CHECKPOINT_PREFIX, huggingface_name_of, stock_names, stock_shapes
from intent_bert.bert.checkpoint import write_stock_weights as write_weights
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.config import DEFAULT_MAX_SEQ_LEN, Architecture
from intent_bert.data.batches import encode
from intent_bert.data.datasets import split_files
from intent_bert.data.labels import classes_of
from intent_bert.export.exports import export_model
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.cache import data_folder
from intent_bert.model.decision import Decision
from intent_bert.model.network import build_model
from intent_bert.model.saved import Artifact, load_artifact, save_artifact

SMALL = "all-MiniLM-L6-v2"
BASE = StockBertConfig(
    vocab_size=30522,
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
    gelu_approximate=False,
)
EPOCHS = 3  # over SNIPS' 2,100 short list, for the model that answers


def prepare(size: str, work: Path) -> Path:
    folder = work / size
    if not folder.is_dir():
        with atomic_folder(folder) as made:
            _stock(size, made / "stock")
            convert_checkpoint(made / "stock", made / "huggingface", "huggingface")
            artifact = _trained(made) if size == "minilm" else _random(made)
            export_model(made / "model", "onnx", quantize="int8")
            write_classifier(artifact, made / "huggingface", made / "classifier")
            (made / "facts.json").write_text(json.dumps(_facts(artifact)), encoding="utf-8")
    return folder / "facts.json"


def _stock(size: str, folder: Path) -> None:
    source = fetch(SMALL)
    if size == "minilm":
        shutil.copytree(source, folder)
        return
    folder.mkdir()
    shutil.copyfile(source / VOCAB_FILE, folder / VOCAB_FILE)
    shutil.copyfile(source / "tokenizer_config.json", folder / "tokenizer_config.json")
    (folder / "bert_config.json").write_text(BASE.to_json_string(), encoding="utf-8")
    rng = np.random.default_rng(0)
    arrays = {}
    shapes = stock_shapes(map_stock_config_to_params(BASE))
    width = BASE.hidden_size
    for name, shape in {
        **shapes,
        "bert/pooler/dense/kernel": (width, width),
        "bert/pooler/dense/bias": (width,),
    }.items():
        noise = np.asarray(rng.standard_normal(shape, "float32") * 0.02)
        arrays[name] = noise + 1 if name.endswith("gamma") else noise
    write_weights(arrays, folder / CHECKPOINT_PREFIX)


def _trained(folder: Path) -> Artifact:
    small = data_folder() / "snips" / "train_small.csv"
    config = TrainingConfig(
        train_file=str(small),
        checkpoint=str(folder / "stock"),
        epochs=EPOCHS,
        output_dir=str(folder / "model"),
        validation_split=0.0,
    )
    train(config, verbose=0)
    return load_artifact(folder / "model")


def _random(folder: Path) -> Artifact:
    encoder, architecture = map_stock_config_to_params(BASE), Architecture(max_seq_len=DEFAULT_MAX_SEQ_LEN)
    classes = classes_of(read_table(data_folder() / "snips" / "test.csv").intent)
    artifact = Artifact(
        model=build_model(encoder, len(classes), architecture),
        tokenizer=FullTokenizer(folder / "stock" / VOCAB_FILE, do_lower_case=True),
        classes=classes,
        encoder=encoder,
        architecture=architecture,
        decision=Decision(),
        settings={},
    )
    save_artifact(artifact, folder / "model")
    export_model(folder / "model", "onnx")
    return artifact


def write_classifier(artifact: Artifact, huggingface: Path, folder: Path) -> None:
    """Hugging Face's classifier has the same head: a tanh layer over [CLS] (its pooler) and a linear one."""
    from safetensors.numpy import save_file

    tensors = {}
    for name, variable in stock_names(artifact.model.get_layer("bert")).items():
        key, transposed = huggingface_name_of(name)
        value = np.asarray(variable)
        tensors[f"bert.{key}"] = np.ascontiguousarray(value.T if transposed else value)
    for key, layer in (("bert.pooler.dense", "dense"), ("classifier", "logits")):
        kernel, bias = (np.asarray(weight) for weight in artifact.model.get_layer(layer).weights)
        tensors[f"{key}.weight"], tensors[f"{key}.bias"] = np.ascontiguousarray(kernel.T), bias
    folder.mkdir()
    for name in (VOCAB_FILE, "tokenizer_config.json"):
        shutil.copyfile(huggingface / name, folder / name)
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = json.loads((huggingface / "config.json").read_text(encoding="utf-8"))
    names = {str(number): str(label) for number, label in enumerate(artifact.classes)}
    config |= {
        "architectures": ["BertForSequenceClassification"],
        "id2label": names,
        "label2id": {label: int(number) for number, label in names.items()},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _facts(artifact: Artifact) -> dict:
    tables = {name: read_table(data_folder() / "snips" / f"{name}.csv") for name in ("train", "test")}
    tokens = {
        name: [len(ids) for ids in encode(list(table.text), artifact.tokenizer, 512)] for name, table in tables.items()
    }
    shape = {
        "layers": artifact.encoder.num_layers,
        "hidden": artifact.encoder.hidden_size,
        "intermediate": artifact.encoder.intermediate_size,
        "classes": len(artifact.classes),
    }
    return {"shape": shape, "tokens": tokens}


def check_data(folder: Path) -> None:
    for name in MIXED_SOURCES:
        files = split_files(folder / name) if (folder / name).is_dir() else {}
        if "test" not in files:
            raise SystemExit(
                f"the data folder should hold {', '.join(MIXED_SOURCES)}, each with train.csv and test.csv of columns "
                f"text and intent, but {name} is not there: put it there or name another folder with INTENT_BERT_DATA"
            )


def main() -> None:
    size, work = sys.argv[1], Path(sys.argv[2])
    check_data(data_folder())
    try:
        facts = prepare(size, work)
    except IntentBertError as error:
        raise SystemExit(str(error)) from None
    print("\n" + json.dumps({"facts": str(facts), "data": str(data_folder())}))


if __name__ == "__main__":
    main()
