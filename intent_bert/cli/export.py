"""The commands ``export``, a trained model in another form, and ``import``, a model folder of one trained elsewhere."""

import argparse
from pathlib import Path
from typing import Any

from intent_bert.cli.arguments import add_columns, add_command
from intent_bert.cli.console import import_tensorflow_quietly

FORMATS = (
    "onnx",
    "savedmodel",
    "litert",
    "huggingface",
    "sentence-transformers",
    "onnx-strings",
    "sealed",
)  # fmt: skip; as model/folder.py has them; importing it takes the tokenizer


def add_commands(commands: Any) -> None:
    command = add_command(commands, "export", "write a model for another engine, checked against Keras", run_export)
    command.add_argument("model_dir", metavar="MODEL_DIR", help="a model folder; the new file goes into it")
    command.add_argument("--format", choices=FORMATS, default="onnx", help="what to write")
    command.add_argument("--quantize", choices=("int8",), help="smaller and faster kernels (format onnx)")
    command.add_argument("--sign", metavar="KEY", help="a private Ed25519 key (PEM) to sign with (format sealed)")
    command.add_argument(
        "--check-file", metavar="FILE", help="a table of sentences to compare on, in place of the usual"
    )
    add_columns(command, label=False)

    command = add_command(
        commands, "import", "make a model folder of a classifier in Hugging Face's layout", run_import
    )
    command.add_argument(
        "folder", metavar="FOLDER", help="a BertForSequenceClassification, as transformers' save_pretrained writes it"
    )
    command.add_argument("output", metavar="OUTPUT", help="the new model folder")


def run_export(options: argparse.Namespace) -> None:
    from intent_bert.model.folder import ModelFolder, exported_name

    exported_name(options.format, options.quantize)
    ModelFolder(options.model_dir).check_may_change()
    import_tensorflow_quietly()
    from intent_bert.export.exports import export_model

    check = export_model(
        options.model_dir,
        options.format,
        options.quantize,
        options.check_file,
        options.text_column,
        options.sign,
    )
    print(f"{Path(options.model_dir) / check.file}  {check.megabytes:.1f} MB")
    print(
        f"compared with Keras on {check.sentences} sentences ({check.sentences_from}): largest difference "
        f"{check.largest_difference:.2g}, {check.changed_predictions} predictions changed"
    )


def run_import(options: argparse.Namespace) -> None:
    import_tensorflow_quietly()
    from intent_bert.export.huggingface_import import import_model
    from intent_bert.model.folder import ModelFolder

    folder = import_model(options.folder, options.output)
    opened = ModelFolder(folder)
    several = "several intents a sentence" if opened.decision.multi_label else "one intent a sentence"
    print(f"{folder}  {len(opened.classes)} intents, {several}")
    if not opened.decision.multi_label:
        print(
            "its probabilities are not calibrated, and it can't tell what is out of scope: "
            f"intent-bert calibrate {folder} TABLE"
        )
