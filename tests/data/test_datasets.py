"""Data sets by name and by folder; SNIPS rebuilt from a server on this machine that speaks its JSON."""

import csv
import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from intent_bert.config import TrainingConfig
from intent_bert.data import datasets
from intent_bert.data.datasets import (
    SNIPS_INTENTS,
    KnownDataset,
    Splits,
    download,
    known,
    load,
    read_tables,
    split_files,
)
from intent_bert.errors import DataError, DownloadError, SettingsError
from intent_bert.files import downloads

CESU_8 = b"\xed\xa0\xbc\xed\xbd\x95"  # how one file of SNIPS writes U+1F355
REAL = Path(os.environ.get("INTENT_BERT_DATA", "nowhere")) / "snips"

# Invented: two sentences an intent for training, one for each other file; as the original's chunks of text.
CHUNKS = {
    "full": [["put  this on ", "my {} list"], ["  a \n", "slice of \U0001f355 for {}", "!\t"]],
    "small": [["only, ", "one {}"]],
    "validate": [['say "{}"', " once"]],
}


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(downloads, "RETRY_WAIT_SECONDS", 0.0)
    return tmp_path / "data"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder that INTENT_BERT_DATA_URL serves."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    root = tmp_path / "site"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as httpd:
        monkeypatch.setenv("INTENT_BERT_DATA_URL", f"http://127.0.0.1:{httpd.server_address[1]}/")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield root
        httpd.shutdown()
        thread.join()


def write_json(root: Path, pattern: str, intent: str, sentences: list[list[str]]) -> None:
    content = {intent: [{"data": [{"text": chunk} for chunk in chunks]} for chunks in sentences]}
    raw = json.dumps(content, ensure_ascii=False).encode("utf-8").replace("\U0001f355".encode(), CESU_8)
    (root / intent).mkdir(exist_ok=True)
    (root / intent / pattern.format(intent=intent)).write_bytes(raw)


@pytest.fixture
def snips_site(site: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SNIPS of 14 + 7 + 7 invented sentences, with the table of what it must give patched to fit."""
    expected = {
        "train.csv": ("put this on my {0} list,{0}\na slice of \U0001f355 for {0}!,{0}\n", 14),
        "train_small.csv": ('"only, one {0}",{0}\n', 7),
        "test.csv": ('"say ""{0}"" once",{0}\n', 7),
    }
    for (name, table), chunks in zip(datasets._SNIPS.items(), CHUNKS.values(), strict=True):
        for intent in SNIPS_INTENTS:
            write_json(site, table.source, intent, [[chunk.format(intent) for chunk in one] for one in chunks])
        lines, rows = expected[name]
        content = "text,intent\n" + "".join(lines.format(intent) for intent in SNIPS_INTENTS)
        digest = hashlib.sha256(content.encode()).hexdigest()
        monkeypatch.setitem(datasets._SNIPS, name, datasets._SnipsTable(table.source, rows, digest))
    return site


def write_table(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "intent")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([header, *rows])
    return path


ROWS = [("play something", "PlayMusic"), ("will it rain", "GetWeather")]


# --- a folder ---


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("train.jsonl", "dev.parquet", "test.tsv", "oos_test.csv", "train_small.csv"):
        (tmp_path / name).touch()
    assert {split: file.name for split, file in split_files(tmp_path).items()} == {
        "train": "train.jsonl",
        "validation": "dev.parquet",
        "test": "test.tsv",
    }


@pytest.mark.parametrize("name", ["validation.csv", "valid.csv", "dev.csv"])
def test_three_names_for_validation(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.csv").touch()
    (tmp_path / name).touch()
    assert split_files(tmp_path) == {"train": tmp_path / "train.csv", "validation": tmp_path / name}


def test_two_files_for_one_split(tmp_path: Path) -> None:
    for name in ("train.csv", "valid.csv", "dev.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(DataError) as caught:
        split_files(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} should hold one validation file, but holds valid.csv and dev.tsv: move all but one elsewhere."
    )


def test_no_train_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        split_files(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} should hold a train file (train.csv|tsv|jsonl|parquet), but has none: name yours so, "
        "or give the files one by one (--train-file)."
    )


def test_load_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_table(folder / "train.csv", ROWS, ("said", "meant"))
    write_table(folder / "test.tsv", ROWS[:1], ("said", "meant"))
    for given in (folder, str(folder)):
        splits = load(given, text_column="said", label_column="meant")
        assert isinstance(splits, Splits)
        assert (splits.name, splits.source, splits.validation) == ("mine", folder, None)
        assert splits.train[["text", "intent"]].values.tolist() == [list(row) for row in ROWS]
        assert splits.test is not None
        assert splits.test["intent"].tolist() == ["PlayMusic"]


def test_a_folder_of_the_data_folder_goes_by_its_name(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(data / "mine" / "train.csv", ROWS)
    write_table(data / "mine" / "valid.csv", ROWS)
    assert load("mine").validation is not None
    elsewhere = data.parent / "elsewhere"
    write_table(elsewhere / "mine" / "train.csv", ROWS[:1])
    monkeypatch.chdir(elsewhere)
    assert len(load("mine").train) == 2
    assert len(load("./mine").train) == len(load(Path("mine")).train) == 1


def test_the_sample_ships_with_the_package() -> None:
    splits = load("sample")
    assert (splits.name, splits.source) == ("sample", datasets.SHIPPED / "sample")
    for table in (splits.train, splits.validation, splits.test):
        assert table is not None
        assert set(table["intent"]) == set(SNIPS_INTENTS)
    assert download("sample") == datasets.SHIPPED / "sample"


# --- what a user may get wrong ---


def test_an_unknown_name(data: Path) -> None:
    write_table(data / "banking77" / "train.csv", ROWS)
    with pytest.raises(SettingsError) as caught:
        load("banking")
    assert str(caught.value) == (
        "'banking' is neither a folder nor a known data set: did you mean 'banking77' "
        "(`intent-bert datasets` lists them all)?"
    )


def test_an_unknown_name_to_download(data: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        download("snip")
    assert str(caught.value) == (
        "'snip' is not a data set that can be downloaded: did you mean 'snips' (`intent-bert datasets` lists them)?"
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist: check the path, or give a known name"):
        load(tmp_path / "nowhere")


def test_a_file_where_a_folder_belongs(tmp_path: Path) -> None:
    file = write_table(tmp_path / "train.csv", ROWS)
    with pytest.raises(SettingsError, match="is a file: give its folder, or the file itself as --train-file"):
        load(file)


# --- the list ---


def test_the_list(data: Path) -> None:
    listed = {dataset.name: dataset for dataset in known()}
    assert list(listed) == ["sample", "sentiment", "snips", "snips-tutorial"]
    assert listed["sample"].where == str(datasets.SHIPPED / "sample")
    assert listed["snips"] == KnownDataset(
        "snips", "13,784 + 700 spoken commands, seven intents", "not downloaded", "CC0-1.0"
    )
    for name in ("snips", "zoo", "alpha", ".hidden"):
        write_table(data / name / "train.csv", ROWS)
    (data / "empty").mkdir()
    (data / "alpha" / "SOURCE.txt").write_text("From: x\nLicence: CC BY 4.0 (LICENSE). Cite y.\n")
    (data / "zoo" / "LICENSE").touch()
    listed = {dataset.name: dataset for dataset in known()}
    assert list(listed) == ["sample", "sentiment", "snips", "snips-tutorial", "alpha", "zoo"]
    assert listed["snips"].where == str(data / "snips")
    assert listed["alpha"].licence == "CC BY 4.0"
    assert listed["zoo"].licence == "see LICENSE there"


# --- SNIPS from its JSON ---


def test_snips_is_downloaded_once(snips_site: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    splits = load("snips")
    out, err = capfd.readouterr()
    assert out == ""
    assert "21/21" in err
    assert (splits.name, splits.source, splits.validation) == ("snips", data / "snips", None)
    assert (len(splits.train), len(splits.test)) == (14, 7)
    assert splits.train["text"].tolist()[1] == "a slice of \U0001f355 for AddToPlaylist!"
    assert {path.name for path in (data / "snips").iterdir()} == {*datasets._SNIPS, "LICENSE", "SOURCE.txt"}
    assert [path.name for path in data.iterdir()] == ["snips"]

    for folder in snips_site.iterdir():
        for file in folder.iterdir():
            file.unlink()
    assert download("snips") == data / "snips"


def test_the_notes_beside_it(snips_site: Path) -> None:
    folder = download("snips")
    note = (folder / "SOURCE.txt").read_text(encoding="utf-8")
    assert f"commit {datasets.SNIPS_COMMIT}" in note
    assert "Licence: CC0-1.0" in note
    assert f"sha256 of train.csv: {datasets._SNIPS['train.csv'].sha256}\n" in note
    assert "arXiv:1805.10190" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_force_replaces(snips_site: Path, data: Path) -> None:
    download("snips")
    (data / "snips" / "train.csv").write_text("spoilt")
    download("snips", force=True)
    assert (data / "snips" / "train.csv").read_text(encoding="utf-8").startswith("text,intent\nput this on")
    assert [path.name for path in data.iterdir()] == ["snips"]


def test_a_folder_without_its_train_file_is_not_touched(snips_site: Path, data: Path) -> None:
    (data / "snips").mkdir(parents=True)
    (data / "snips" / "notes.txt").touch()
    with pytest.raises(DataError, match="has no train file: delete that folder, or download with --force"):
        load("snips")
    assert (data / "snips" / "notes.txt").exists()


def failed_download(data: Path, name: str = "snips") -> str:
    with pytest.raises(DownloadError) as caught:
        download(name)
    assert not data.exists() or list(data.iterdir()) == []
    message = str(caught.value)
    assert message.endswith(": try again later, or give a folder of your own (--data DIR).")
    return message


def test_a_file_that_is_not_there(snips_site: Path, data: Path) -> None:
    (snips_site / "RateBook" / "train_RateBook.json").unlink()
    message = failed_download(data)
    assert "/RateBook/train_RateBook.json could not be downloaded (the server answered 404 File not found)" in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"Other": []}',
        b'{"RateBook": [{"data": [{}]}]}',
        b'{"RateBook": 1}',
        b'"\xff"',
        CESU_8[:3],
    ],
)
def test_a_file_that_is_not_what_it_should_be(snips_site: Path, data: Path, content: bytes) -> None:
    (snips_site / "RateBook" / "train_RateBook.json").write_bytes(content)
    message = failed_download(data)
    assert (
        "/RateBook/train_RateBook.json should hold the sentences of RateBook as JSON, but can't be read so" in message
    )


def test_too_few_sentences(snips_site: Path, data: Path) -> None:
    write_json(snips_site, "train_{intent}_full.json", "RateBook", [["one"]])
    assert "(train_{intent}_full.json) should hold 14 sentences, but holds 13" in failed_download(data)


def test_an_intent_without_sentences(snips_site: Path, data: Path) -> None:
    write_json(snips_site, "train_{intent}.json", "RateBook", [])
    write_json(snips_site, "train_{intent}.json", "PlayMusic", [["one"], ["two"]])
    assert "should hold the seven SNIPS intents, but differs in RateBook" in failed_download(data)


def test_a_changed_sentence(snips_site: Path, data: Path) -> None:
    write_json(snips_site, "validate_{intent}.json", "RateBook", [["another"]])
    expected = datasets._SNIPS["test.csv"].sha256
    assert f"should give a test.csv with the sha256 {expected}, but gave " in failed_download(data)


def test_an_interrupt_leaves_nothing(snips_site: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "_write_notes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download("snips")
    assert list(data.iterdir()) == []


@pytest.mark.skipif(not (REAL / "train_small.csv").is_file(), reason="INTENT_BERT_DATA holds no snips to rebuild")
def test_the_real_snips_byte_for_byte(site: Path, data: Path) -> None:
    for name, table in datasets._SNIPS.items():
        with (REAL / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for intent in SNIPS_INTENTS:
            texts = [row["text"] for row in rows if row["intent"] == intent]
            write_json(site, table.source, intent, [[text[: len(text) // 2], text[len(text) // 2 :]] for text in texts])
    assert CESU_8 in (site / "PlayMusic" / "train_PlayMusic_full.json").read_bytes()
    folder = download("snips")
    for name in datasets._SNIPS:
        assert (folder / name).read_bytes() == (REAL / name).read_bytes()


# --- the tutorial's split ---


@pytest.fixture
def drive(data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Google Drive, played: file id -> content; seven rows a file are expected."""
    content = "intent,slots,text\n" + "".join(f"{intent},x,say {intent}\n" for intent in SNIPS_INTENTS)
    for name, (file_id, _) in datasets._TUTORIAL.items():
        monkeypatch.setitem(datasets._TUTORIAL, name, (file_id, 7))
    files = {file_id: content for file_id, _ in datasets._TUTORIAL.values()}
    monkeypatch.setattr(
        datasets, "_drive_download", lambda file_id, path: path.write_text(files[file_id], encoding="utf-8")
    )
    return files


def test_the_tutorials_split(drive: dict[str, str], data: Path) -> None:
    splits = load("snips-tutorial")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (7, 7, 7)
    names = {"train.csv", "valid.csv", "test.csv", "LICENSE", "SOURCE.txt"}
    assert {path.name for path in (data / "snips-tutorial").iterdir()} == names


def test_the_tutorials_files_are_checked(drive: dict[str, str], data: Path) -> None:
    file_id = datasets._TUTORIAL["valid.csv"][0]
    good = drive[file_id]
    drive[file_id] = good + "RateBook,x,one more\n"
    assert f"The tutorial's valid.csv on Google Drive (id {file_id}) should hold 7 sentences, but holds 8" in (
        failed_download(data, "snips-tutorial")
    )
    drive[file_id] = good.replace("RateBook,", "rate_book,")
    assert "differs in RateBook, rate_book" in failed_download(data, "snips-tutorial")
    drive[file_id] = "<html>quota exceeded</html>"
    assert "should be a table with the columns text and intent, but it is not (" in failed_download(
        data, "snips-tutorial"
    )
    drive[file_id] = "a,b\n1,2\n"
    assert "valid.csv has no column 'text'; it has: a, b" in failed_download(data, "snips-tutorial")


def test_google_drive_says_no(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gdown = pytest.importorskip("gdown")

    def refused(**kwargs: object) -> None:
        raise RuntimeError("Cannot retrieve the public link of the file.\n\tToo many users")

    monkeypatch.setattr(gdown, "download", refused)
    assert failed_download(data, "snips-tutorial").startswith(
        "The file 1OlcvGWReJMuyYQuOZm149vHWwPtlboR6 could not be downloaded from Google Drive "
        "(RuntimeError: Cannot retrieve the public link of the file. Too many users)"
    )
    monkeypatch.setattr(gdown, "download", lambda **kwargs: None)
    assert "Google Drive did not give the file" in failed_download(data, "snips-tutorial")


def test_without_gdown_the_message_has_the_pip_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(DownloadError, match="run `pip install gdown` and try again"):
        download("snips-tutorial")


# --- counted -----------------------------------------------------------------------------------------------------


def test_intents_are_counted_in_their_order_whatever_their_type(tmp_path):
    (tmp_path / "train.jsonl").write_text("".join(f'{{"text": "a{n}", "intent": {n % 11}}}\n' for n in range(22)))
    (tmp_path / "test.csv").write_text("text,intent\na,10\nb,10\nc,new\n")
    counts = datasets.intent_counts(load(tmp_path))
    assert list(counts.index) == [*map(str, range(11)), "new"]
    assert counts["train"].tolist() == [2] * 11 + [0]
    assert counts["test"].tolist() == [0] * 10 + [2, 1]


def test_labels_of_several_types_are_no_data_set(tmp_path):
    rows = ['{"text": "a", "intent": 1}', '{"text": "b", "intent": "a"}', '{"text": "c", "intent": true}']
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    told = (
        f"{tmp_path}/train.jsonl has labels of several types, 1 in row 1 and 'a' in row 2 and True in row 3: "
        "write all labels as text, or all as numbers"
    )
    for use in (lambda: datasets.intent_counts(load(tmp_path)), lambda: read_tables(TrainingConfig(data=tmp_path))):
        with pytest.raises(DataError) as caught:
            use()
        assert str(caught.value) == told
    (tmp_path / "train.jsonl").write_text('{"text": "a", "intent": 1}\n{"text": "b", "intent": 2.5}')
    assert datasets.intent_counts(load(tmp_path)).index.tolist() == ["1", "2.5"]
