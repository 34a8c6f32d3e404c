"""The commands split, datasets, download, checkpoints and convert."""

from pathlib import Path

import pandas as pd
import pytest
from commands import check_mistake, check_refusal, run, snapshot

from intent_bert.data.splits import split_table
from intent_bert.data.tables import read_table

TRAIN = ["train", "--max-seq-len", "32", "--epochs", "1", "--batch-size", "32", "--dropout", "0"]

# --- split -------------------------------------------------------------------------------------------------------


def test_split_writes_a_folder_that_train_takes(capsys, small_table, quick_checkpoint, tmp_path):
    odd = pd.DataFrame({"said": ["play\ra song", 'play "my" song, please', "7"], "meant": ["music", "music", "table"]})
    table = pd.concat([small_table.set_axis(["said", "meant"], axis=1), odd])
    table.to_json(tmp_path / "all.jsonl", orient="records", lines=True)
    columns = ("--text-column", "said", "--label-column", "meant")
    folder = tmp_path / "new" / "split"
    code, out, err = run(
        capsys, "split", tmp_path / "all.jsonl", folder, "--shares", "60,20,20", "--seed", "3", *columns
    )
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["train", "57", "rows", f"{folder}/train.csv"],
        ["validation", "18", "rows", f"{folder}/validation.csv"],
        ["test", "18", "rows", f"{folder}/test.csv"],
    ]
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == [
        "all.jsonl", "new", "split", "test.csv", "train.csv", "validation.csv",
    ]  # fmt: skip
    parts = [read_table(folder / f"{name}.csv") for name in ("train", "validation", "test")]
    rows = [tuple(row) for part in parts for row in part.to_numpy()]
    assert sorted(rows) == sorted(tuple(row) for row in table.to_numpy())
    expected = split_table(read_table(tmp_path / "all.jsonl", "said", "meant"), (60, 20, 20), 3)
    assert [part.to_numpy().tolist() for part in parts] == [part.to_numpy().tolist() for part in expected]

    model = tmp_path / "model"
    code, out, _ = run(capsys, *TRAIN, "--data", folder, "--checkpoint", quick_checkpoint, "--output-dir", model)
    assert code == 0
    assert [line.split()[-2] for line in out.splitlines()[:3]] == ["(57", "(18", "(18"]


def test_split_in_two_tells_of_contradictions(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("text,intent\n" + "".join(f"{n},{'xy'[n % 2]}\n" for n in range(20)) + "0,y\n")
    code, out, err = run(capsys, "split", "t.csv", "parts", "--shares", "0.8,0.2")
    assert code == 0
    assert out.split() == ["train", "17", "rows", "parts/train.csv", "test", "4", "rows", "parts/test.csv"]
    assert err == "warning: t.csv: 1 text stands under more than one intent, such as '0' (row 2: x, row 22: y)\n"
    assert (tmp_path / "parts" / "test.csv").read_text().startswith("text,intent\n")


# --- the other commands ------------------------------------------------------------------------------------------


def test_datasets_are_listed_counted_and_drawn(capsys, tmp_path, monkeypatch, small_table):
    monkeypatch.setenv("INTENT_BERT_DATA", str(tmp_path / "data"))
    code, out, err = run(capsys, "datasets")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["sample", "sentiment", "snips", "snips-tutorial"]
    assert err == f"kept in {tmp_path / 'data'} (INTENT_BERT_DATA moves it)\n"

    folder = tmp_path / "mine"
    folder.mkdir()
    small_table.to_csv(folder / "train.csv", index=False)
    small_table.head(4).to_csv(folder / "test.csv", index=False)
    code, out, err = run(capsys, "datasets", folder, "--plot", tmp_path / "counts.png")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]][-3:] == [
        ["music", "30", "4"], ["table", "30", "0"], ["weather", "30", "0"],
    ]  # fmt: skip
    assert err == f"drawn in {tmp_path / 'counts.png'}\n"
    assert (tmp_path / "counts.png").read_bytes().startswith(b"\x89PNG")


def test_checkpoints_are_listed_with_size_and_licence(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("INTENT_BERT_CACHE", str(tmp_path))
    (tmp_path / "uncased_L-2_H-128_A-2").mkdir()
    code, out, err = run(capsys, "checkpoints")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["all-MiniLM-L6-v2"][1:] == ["91", "Apache-2.0", "uncased", "-", "(default)"]
    assert rows["uncased_L-2_H-128_A-2"][2:] == ["Apache-2.0", "uncased", "fetched"]
    assert rows["cased_L-12_H-768_A-12"][3] == "cased"
    assert len(rows) == 1 + 1 + 9 + 24
    assert str(tmp_path) in err


def test_download_prints_the_folder(capsys, real_checkpoint):
    from intent_bert.data.datasets import SHIPPED

    assert run(capsys, "download", "all-MiniLM-L6-v2") == (0, f"{real_checkpoint}\n", "")
    assert run(capsys, "download", "sample") == (0, f"{SHIPPED / 'sample'}\n", "")


def test_convert_writes_the_other_layout(capsys, quick_checkpoint, tmp_path):
    there, back = tmp_path / "there", tmp_path / "uncased_back"
    assert run(capsys, "convert", quick_checkpoint, there, "--to", "huggingface")[:2] == (0, f"{there}\n")
    assert {"config.json", "model.safetensors", "vocab.txt"} <= {entry.name for entry in there.iterdir()}
    assert run(capsys, "convert", there, back, "--to", "stock")[:2] == (0, f"{back}\n")
    before = snapshot(tmp_path)
    code, out, err = run(capsys, "convert", there, back, "--to", "stock")
    assert (code, out) == (2, "")
    assert err == f"intent-bert: won't write to {back}: it is there already; name a new folder\n"
    (there / "model.safetensors").write_bytes(b"half")
    code, out, err = run(capsys, "convert", there, tmp_path / "third", "--to", "stock")
    assert (code, out) == (2, "")
    assert f"{there}/model.safetensors is damaged" in err
    assert {**before, "there/model.safetensors": b"half"} == snapshot(tmp_path)


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"), [("snip", "snips"), ("Sample", "sample"), ("snips_tutorial", "snips-tutorial")]
)
def test_an_unknown_data_name_is_answered_with_the_nearest(capsys, place, name, nearest):
    before = snapshot(place)
    for command in (["train", "--data", name], ["datasets", name]):
        check_refusal(
            run(capsys, *command), f"'{name}' is neither a folder nor a known data set: did you mean '{nearest}'"
        )
    check_refusal(run(capsys, "download", name), f"nothing to download is called '{name}': did you mean {nearest}?")
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("all-MiniLM-L6", "all-MiniLM-L6-v2"), ("uncased_L12_H768_A12", "uncased_L-12_H-768_A-12")],
)
def test_an_unknown_checkpoint_name_is_answered_with_the_nearest(capsys, place, name, nearest):
    before = snapshot(place)
    code, out, err = run(capsys, "train", "--train-file", "train.csv", "--checkpoint", name)
    check_refusal((code, out, err), f"'{name}' is")
    assert nearest in err
    check_refusal(run(capsys, "convert", name, "there", "--to", "stock"), nearest)
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["split", "no.csv", "new"], "no such file: no.csv"),
        (["split", "train.csv", "busy"], "won't write to busy: it is there already; name a new folder"),
        (["split", "train.csv", "train.csv/new"], "can't write train.csv/new: File exists; nothing was changed: "),
        (["split", "train.csv", "new", "--shares", "most,rest"], "such as 70,15,15 or 80,20, not 'most,rest'"),
        (
            ["split", "train.csv", "new", "--shares", "70,15"],
            "add up to 1 or to 100, such as 70, 15, 15, not 70.0, 15.",
        ),
        (["split", "train.csv", "new", "--seed", "-1"], "seed must be 0 to 4294967295, not -1"),
        (["split", "train.csv", "new", "--text-column", "x"], "train.csv has no column 'x'; it has: text, intent"),
        (
            ["split", "twice.csv", "new"],
            "twice.csv is too small to split so: validation would be empty",
        ),
        (["split", "one.csv", "new", "--shares", "50,50"], "one.csv has one intent only, 'x': expected at least two"),
        (
            ["split", "train.csv", "new", "--label-separator", "+"],
            "--label-separator joins several labels of a row: give --multi-label as well",
        ),
        (["split", "train.csv"], "split: the following arguments are required: OUTPUT_DIR (see intent-bert split --h"),
        (["datasets", "busy"], "busy should hold a train file (train.csv|tsv|jsonl|parquet), but has none"),
        (["datasets", "sample", "--plot", "no/counts.png"], "can't draw into no/counts.png: "),
        (["datasets", "sample", "--plot", "counts.xyz"], "can't draw into counts.xyz: "),
        (["convert", "good", "busy", "--to", "stock"], "won't write to busy: it is there already; name a new folder"),
        (
            ["convert", "MODEL", "new", "--to", "stock"],
            "expected a checkpoint, got a trained model's folder: give the checkpoint that it was trained from (",
        ),
        (["convert", "truncated", "new", "--to", "huggingface"], "truncated/bert_model.ckpt is damaged"),
        (["convert", "good", "new", "--to", "onnx"], "convert: argument --to: invalid choice: 'onnx'"),
    ],
)
def test_a_mistake_gets_one_sentence_and_writes_nothing(capsys, place, trained, arguments, expected):
    check_mistake(capsys, place, trained, arguments, expected)
