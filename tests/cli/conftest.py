"""A working folder with what a command may meet."""

import json
import shutil
from pathlib import Path

import pytest

pytest.register_assert_rewrite("commands")


@pytest.fixture
def place(tmp_path, quick_checkpoint, small_table, monkeypatch) -> Path:
    """A working folder with a good table, good and bad checkpoints, and what stands in the way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "cache"))
    small_table.to_csv("train.csv", index=False)
    Path("empty.csv").write_text("text,intent\n")
    Path("one.csv").write_text("text,intent\na,x\nb,x\n")
    Path("latin.csv").write_bytes("text,intent\nGrüße,x\n".encode("latin-1"))
    Path("hole.csv").write_text("text,intent\na,x\n,y\n")
    Path("twice.csv").write_text("text,intent\na,x\na,y\nb,x\n")
    Path("busy").mkdir()
    Path("busy/thesis.doc").write_text("mine")
    shutil.copytree(quick_checkpoint, "good")
    for name in [entry.name for entry in Path("good").iterdir()]:
        shutil.copytree("good", f"without-{name}")
        Path(f"without-{name}", name).unlink()
    data = "bert_model.ckpt.data-00000-of-00001"
    shutil.copytree("good", "truncated")
    Path("truncated", data).write_bytes(Path("good", data).read_bytes()[:1000])
    for name, key, value in (
        ("wider", "hidden_size", 64),
        ("deeper", "num_hidden_layers", 2),
        ("more", "vocab_size", 161),
        ("thicker", "intermediate_size", 65),
    ):
        shutil.copytree("good", name)
        config = json.loads(Path(name, "bert_config.json").read_text())
        Path(name, "bert_config.json").write_text(json.dumps({**config, key: value}))
    shutil.copytree("good", "garbled")
    Path("garbled/bert_config.json").write_text("{")
    return tmp_path
