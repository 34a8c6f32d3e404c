"""A model folder as files: read and checked, replaced whole or not at all, without Keras."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny_vocab
from plain_user import as_a_plain_user, needs_root

from intent_bert.config import Architecture
from intent_bert.errors import DiskError, ModelFolderError, SettingsError
from intent_bert.files import atomic
from intent_bert.files.atomic import is_full
from intent_bert.model import folder as folders
from intent_bert.model.folder import ModelFolder, check_output_folder, exported_name, replacement

CONFIG = {
    "format_version": 2,
    "intent_bert_version": "0.1.0",
    "encoder": {"hidden_size": 32},
    "architecture": {"pooling": "cls", "head": "dense", "dropout": 0.5, "max_seq_len": 24, "adapter_size": None},
    "decision": {"scores": "softmax"},
    "settings": {"data": "é"},
}


def fill(folder: Path, labels: list[Any], **more: str) -> None:
    files = {"model.weights.h5": "weights", "vocab.txt": "\n".join(tiny_vocab()), "labels.json": json.dumps(labels)}
    files |= {"tokenizer_config.json": '{"do_lower_case": false}', **more}
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    folders.write_config(folder, CONFIG, files)


@pytest.fixture
def saved(tmp_path) -> Path:
    """A folder that has all but weights that Keras could load."""
    with replacement(tmp_path / "model") as work:
        fill(work, ["a", 2, True], **{"model.onnx": "graph", "savedmodel/saved_model.pb": "graph"})
        (work / "model.onnx.json").write_text("{}")
        (work / "mistakes.csv").write_text("of this model")
    return tmp_path / "model"


def message_of(folder: Path) -> str:
    with pytest.raises(ModelFolderError) as caught:
        ModelFolder(folder)
    return str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- reading -----------------------------------------------------------------------------------------------------


def test_an_opened_folder_gives_what_an_answer_needs(saved):
    folder = ModelFolder(saved)
    assert (folder.path, folder.max_seq_len, folder.architecture) == (saved, 24, Architecture(max_seq_len=24))
    assert folder.classes == ["a", 2, True]
    assert [type(label) for label in folder.classes] == [str, int, bool]
    assert folder.tokenizer.do_lower_case is False
    assert folder.tokenizer.vocab_lines == tiny_vocab()
    assert folder.file("model.onnx").read_text() == "graph"
    held = ("model.onnx", "savedmodel", "model.int8.onnx", "savedmode", "mistakes.csv")
    assert [folder.holds(name) for name in held] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("model.onnx", lambda folder: folder.file("model.onnx")),
        ("labels.json", lambda folder: folder.classes),
        ("vocab.txt", lambda folder: folder.tokenizer),
        ("tokenizer_config.json", lambda folder: folder.tokenizer),
    ],
)
def test_a_file_is_checked_when_it_is_asked_for(saved, name: str, ask: Callable[[ModelFolder], Any]):
    content = (saved / name).read_bytes()
    for change, expected in (
        (lambda: (saved / name).write_bytes(content + b" "), f"{name} is not the file that was saved (its sha256 diff"),
        (lambda: (saved / name).unlink(), f"{name} is missing; copy the whole folder again"),
    ):
        change()
        with pytest.raises(ModelFolderError) as caught:
            ask(ModelFolder(saved))
        assert str(caught.value).startswith(f"{saved} is damaged: {expected}")
    (saved / name).write_bytes(content)
    ask(ModelFolder(saved))


def test_files_that_never_fitted_are_told_as_damage(saved):
    for labels, lines in (("{}", tiny_vocab()), ("[", tiny_vocab()), ('["a"]', tiny_vocab()[3:])):
        (saved / "labels.json").write_text(labels)
        (saved / "vocab.txt").write_text("\n".join(lines))
        folders.write_config(saved, CONFIG, ["labels.json", "vocab.txt", "tokenizer_config.json"])
        folder = ModelFolder(saved)
        with pytest.raises(ModelFolderError, match=f"^{saved} is damaged: "):
            assert folder.classes and folder.tokenizer


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text[: len(text) // 2], "{} is no model folder of intent_bert: its config.json is not ours"),
        (lambda text: "[]", "{} is no model folder of intent_bert: its config.json is not ours"),
        (lambda text: '{"format_version": "new"}', "{} is no model folder of intent_bert: its config.json is not ours"),
        (lambda text: '{"model_type": "bert"}', "{} is no model folder of intent_bert: its config.json is not ours"),
        (lambda text: text.replace('"architecture"', '"arch"'), "{} is damaged: config.json lacks architecture"),
        (
            lambda text: text.replace('"decision": {', '"decision": 1, "x": {'),
            "{} is damaged: config.json lacks decision",
        ),
        (lambda text: text.replace('"cls"', '"first"'), "{} is damaged: config.json was changed after it"),
        (lambda text: text.replace('"hidden_size": 32', '"hidden_size": 64'), "{} is damaged: config.json was changed"),
        (lambda text: text.replace('"pooling": "cls"', '"pooling": "mean"'), "{} is damaged: config.json was changed"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(saved, change, expected):
    path = saved / "config.json"
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text
    assert message_of(saved).startswith(expected.format(saved))
    assert "\n" not in message_of(saved)


def test_a_newer_format_is_refused_with_both_versions(saved):
    path = saved / "config.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 3').replace("0.1.0", "9.8.7"))
    assert message_of(saved) == (
        f"{saved} is in format 3 (intent_bert 9.8.7); this version reads up to format 2: upgrade intent_bert"
    )


def test_what_is_no_model_folder_is_told(tmp_path):
    assert message_of(tmp_path / "no") == f"no such model folder: {tmp_path / 'no'}"
    assert message_of(tmp_path) == f"{tmp_path} is no model folder: it has no config.json"
    (tmp_path / "config.json").mkdir()
    assert message_of(tmp_path) == f"can't read {tmp_path}/config.json: Is a directory"
    assert message_of(Path(__file__)) == f"no such model folder: {__file__}"


# --- exports -----------------------------------------------------------------------------------------------------


def test_an_export_has_one_name_and_an_unknown_one_is_refused_with_the_known():
    names = [exported_name("onnx"), exported_name("onnx", "int8"), exported_name("savedmodel"), exported_name("litert")]
    assert names == ["model.onnx", "model.int8.onnx", "savedmodel", "model.tflite"]
    for arguments, expected in (
        (
            ("onyx",),
            "unknown export format 'onyx': did you mean onnx? (there are onnx, savedmodel, litert, huggingface, "
            "sentence-transformers, onnx-strings, sealed)",
        ),
        (("onnx", "int4"), "can't quantise format 'onnx' to 'int4': there is int8 of format onnx"),
        (("litert", "int8"), "can't quantise format 'litert' to 'int8': there is int8 of format onnx"),
    ):
        with pytest.raises(SettingsError) as caught:
            exported_name(*arguments)
        assert str(caught.value) == expected


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_new_folder_replaces_the_old_one_and_its_exports_but_nothing_else(saved):
    (saved / "logs").mkdir()
    (saved / "logs" / "events").write_text("events")
    (saved / "notes.txt").write_text("mine")
    with replacement(saved) as work:
        fill(work, ["x", "y"])
        assert work.parent == saved.parent
    assert ModelFolder(saved).classes == ["x", "y"]
    assert {"logs/events", "notes.txt"} <= set(contents(saved))
    assert not {"model.onnx", "model.onnx.json", "savedmodel", "mistakes.csv"} & {each.name for each in saved.iterdir()}
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]
    assert oct(saved.stat().st_mode)[-3:] == "755"


def no_links(*_: Any, **__: Any) -> None:
    raise OSError(1, "Operation not permitted")


@pytest.mark.parametrize("linked", [True, False], ids=["links", "a disk without links"])
def test_own_files_move_into_a_new_folder_without_being_written_to(saved, tmp_path, monkeypatch, linked):
    if not linked:
        monkeypatch.setattr(
            atomic.os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(1, "Operation not permitted"))
        )
    before = contents(saved)
    (saved / "notes.txt").write_text("mine")
    new = tmp_path / "new"
    new.mkdir()
    folders.link_own_files(saved, new, but=("config.json", "model.onnx"))
    assert contents(new) == {
        name: content for name, content in before.items() if name not in ("config.json", "model.onnx")
    }
    assert (new / "vocab.txt").samefile(saved / "vocab.txt") is linked
    (new / "model.onnx").write_text("another")
    kept = {name: sha for name, sha in ModelFolder(saved).config["sha256"].items() if name != "model.onnx"}
    folders.write_config(new, {**CONFIG, "sha256": kept}, folders.files_in(new / "model.onnx"))
    assert ModelFolder(new).file("model.onnx").read_text() == "another"
    assert ModelFolder(new).file("savedmodel/saved_model.pb").read_text() == "graph"
    assert contents(saved) == {**before, "notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), DiskError),
        (RuntimeError("a fault of ours, not of the disk"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SettingsError("not so"), SettingsError),
    ],
)
def test_a_block_that_fails_leaves_the_old_folder_and_nothing_else(saved, error, kind):
    before = contents(saved.parent)
    with pytest.raises(kind) as caught, replacement(saved) as work:
        fill(work, ["x", "y"])
        raise error
    assert contents(saved.parent) == before
    if kind is DiskError:
        assert is_full(caught.value)
        assert str(caught.value) == (
            f"can't write {saved}: No space left on device; nothing was changed: free some space, or choose another "
            "place"
        )


def test_swapping_works_without_the_linux_call_too(saved, monkeypatch):
    monkeypatch.setattr(atomic.sys, "platform", "darwin")
    (saved / "logs").mkdir()
    with replacement(saved) as work:
        fill(work, ["x", "y"])
    assert ModelFolder(saved).classes == ["x", "y"]
    assert (saved / "logs").is_dir()
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]


def test_a_symlink_as_output_folder_stays_one(saved, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(saved)
    with replacement(link) as work:
        fill(work, ["x", "y"])
    assert link.is_symlink() and ModelFolder(link).classes == ModelFolder(saved).classes == ["x", "y"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "model"]


def test_other_things_are_never_overwritten(tmp_path):
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "dcba":
        (folder / name).write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("3")
    before = contents(tmp_path)
    for place, expected in (
        ("file", f"can't write the model to {tmp_path}/file: it is a file; name a folder"),
        ("folder", f"won't write the model to {folder}: it holds other things (a, b, c); name a new folder"),
        ("other", f"won't write the model to {tmp_path}/other: it holds other things (config.json); name a new folder"),
    ):
        with pytest.raises(ModelFolderError) as caught, replacement(tmp_path / place):
            pytest.fail("the block began")
        assert str(caught.value) == expected
    assert contents(tmp_path) == before


def test_what_came_while_a_run_was_at_work_stays_beside_its_model(tmp_path):
    folder = check_output_folder(tmp_path / "model")
    with replacement(folder, checked=True) as work:
        fill(work, ["x", "y"])
        folder.mkdir()
        (folder / ".DS_Store").write_text("of a file manager")
        (folder / "notes.txt").write_text("mine")
    assert ModelFolder(folder).classes == ["x", "y"]
    assert (folder / "notes.txt").read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_what_stands_in_the_way_of_a_model_is_not_taken_for_one(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("mine")
    with pytest.raises(ModelFolderError) as caught, replacement(tmp_path / "model", checked=True):
        pytest.fail("the block began")
    assert str(caught.value) == (
        f"won't write the model to {tmp_path}/model: it holds README.md, which is not the model's; move it away"
    )
    assert contents(tmp_path) == {"model/README.md": b"mine"}


def test_a_folder_that_a_run_or_a_file_manager_has_begun_is_free(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / ".DS_Store").touch()
    (tmp_path / "two" / "tensorboard" / "run").mkdir(parents=True)
    (tmp_path / "three" / "unfinished").mkdir()
    (tmp_path / "three" / "notes.txt").touch()  # came while the run that was killed was at work
    check_output_folder(tmp_path / "one")
    check_output_folder(tmp_path / "three")
    check_output_folder(tmp_path / "two", log_dir=tmp_path / "two" / "tensorboard")
    with pytest.raises(ModelFolderError, match=r"it holds other things \(tensorboard\); name a new folder"):
        check_output_folder(tmp_path / "two")


@pytest.mark.parametrize("name", ["", "unfinished", "savedmodel/logs", "config.json"])
def test_logs_in_the_way_of_the_model_are_refused_at_the_start(tmp_path, name):
    target = tmp_path / "model"
    with pytest.raises(SettingsError) as caught:
        check_output_folder(target, log_dir=target / name)
    assert str(caught.value) == (
        f"log_dir can't be {target / name}, where the model itself goes: name another folder, such as {target}/logs"
    )


def test_checking_a_place_leaves_nothing_behind(tmp_path):
    assert check_output_folder(tmp_path / "new" / "model") == tmp_path / "new" / "model"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DiskError, match=r"about 1000000000 MB are needed, \d+ MB are free$"):
        check_output_folder(tmp_path / "model", needed_bytes=10**15)
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"can't write .*/file/deep/model: Not a directory"):
        check_output_folder(tmp_path / "file" / "deep" / "model")


def test_a_mounted_disk_or_the_root_is_refused_before_anything_slow(tmp_path, monkeypatch):
    with pytest.raises(
        ModelFolderError, match=r"can't write the model to /: a disk is mounted there; name a folder inside"
    ):
        check_output_folder("/")
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path / "volume")
    (tmp_path / "volume").mkdir()
    with pytest.raises(ModelFolderError, match=r"volume: a disk is mounted there; name a folder inside it"):
        check_output_folder(tmp_path / "volume")
    assert check_output_folder(tmp_path / "volume" / "model") == tmp_path / "volume" / "model"


@needs_root
@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "labels.json"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(saved, name):
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        theirs = shutil.copytree(saved, Path(place) / "model")
        (theirs / name).chmod(0o600)
        with as_a_plain_user(), pytest.raises(ModelFolderError) as caught:
            assert ModelFolder(theirs).tokenizer and ModelFolder(theirs).classes
    assert str(caught.value) == f"can't read {theirs / name}: Permission denied"


def test_json_that_is_nested_too_deep_is_no_model_folder(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert not folders.is_model_folder(tmp_path)
    with pytest.raises(ModelFolderError, match=r"is no model folder of intent_bert: its config.json is not ours$"):
        ModelFolder(tmp_path)
