"""The command `export`."""

import json
import shutil

import pytest
from commands import check_mistake, run

# --- export ------------------------------------------------------------------------------------------------------


def test_export_tells_what_it_wrote_and_predict_takes_it(capsys, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    asked = ("play my song", "will it rain", "--json")
    expected = run(capsys, "predict", folder, *asked)
    assert run(capsys, "predict", folder, *asked, "--engine", "onnx") == expected
    code, out, err = run(capsys, "predict", folder, *asked, "--engine", "onnx-int8")
    assert (code, out) == (2, "")
    assert err == (
        f"intent-bert: {folder} has no model.int8.onnx for engine 'onnx-int8': intent-bert export {folder} "
        "--quantize int8 writes it\n"
    )
    (tmp_path / "check.csv").write_text("text\nplay my song\nwill it rain\n")
    code, out, err = run(capsys, "export", folder, "--quantize", "int8", "--check-file", tmp_path / "check.csv")
    assert (code, err) == (0, "")
    check = json.loads((folder / "model.int8.onnx.json").read_text())
    assert out.splitlines() == [
        f"{folder / 'model.int8.onnx'}  {check['megabytes']:.1f} MB",
        "compared with Keras on 2 sentences (check.csv): largest difference "
        f"{check['largest_difference']:.2g}, 0 predictions changed",
    ]
    code, out, err = run(capsys, "predict", folder, *asked, "--engine", "onnx-int8")
    assert (code, err) == (0, "")
    assert out != expected[1]
    assert [json.loads(line)["intent"] for line in out.splitlines()] == ["music", "weather"]
    assert run(capsys, "predict", folder, *asked) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["export", "no"], "no such model folder: no"),
        (
            ["export", "MODEL", "--format", "onyx"],
            "export: argument --format: invalid choice: 'onyx' (choose from ",
        ),
        (
            ["export", "MODEL", "--quantize", "int4"],
            "export: argument --quantize: invalid choice: 'int4' (choose from ",
        ),
        (
            ["export", "MODEL", "--format", "litert", "--quantize", "int8"],
            "can't quantise format 'litert' to 'int8': there is int8 of format o",
        ),
        (["export", "MODEL", "--check-file", "no.csv"], "no such file: no.csv"),
        (["export", "DAMAGED"], "is damaged: vocab.txt is missing; copy the whole folder again"),
    ],
)
def test_a_mistake_gets_one_sentence_and_writes_nothing(capsys, place, trained, arguments, expected):
    check_mistake(capsys, place, trained, arguments, expected)


# --- import ------------------------------------------------------------------------------------------------------


def test_an_export_in_hugging_faces_layout_is_imported_again(capsys, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    assert run(capsys, "export", folder, "--format", "huggingface")[0] == 0
    code, out, _ = run(capsys, "import", folder / "huggingface", tmp_path / "again")
    assert code == 0
    assert out.splitlines() == [
        f"{tmp_path / 'again'}  3 intents, one intent a sentence",
        "its probabilities are not calibrated, and it can't tell what is out of scope: "
        f"intent-bert calibrate {tmp_path / 'again'} TABLE",
    ]
    expected, found = (
        json.loads(run(capsys, "predict", each, "play my song", "--json")[1]) for each in (folder, tmp_path / "again")
    )
    assert found["intent"] == expected["intent"]
    assert abs(found["confidence"] - expected["confidence"]) < 2e-6
    assert run(capsys, "calibrate", tmp_path / "again", trained.folder.parent / "train.csv")[0] == 0


def test_calibrate_removes_exports_that_hold_the_former_decision(capsys, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    assert run(capsys, "export", folder, "--format", "huggingface")[0] == 0
    code, _, err = run(capsys, "calibrate", folder, trained.folder.parent / "train.csv")
    assert (code, "removed huggingface, which held the former decision" in err) == (0, True)
    assert not list(folder.glob("huggingface*"))
    assert (folder / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["import", "no", "new"], "no such folder: no"),
        (["import", "MODEL", "new"], "is a model folder of intent_bert already: use it as it is"),
        (
            ["import", "good", "new"],
            "good has no config.json: expected a folder that transformers' save_pretrained wrote",
        ),
        (["import", "good", "busy"], "won't write the model to busy: it is there already; name a new folder"),
        (["export", "MODEL", "--sign", "key"], "--sign is for --format sealed: format 'onnx' has no signature"),
        (
            ["export", "MODEL", "--format", "sealed", "--sign", "no.key"],
            "can't read the key no.key: No such file or dir",
        ),
        (
            ["predict", "MODEL", "a", "--require-signature", "no.pub"],
            "a folder has no signature: expected a sealed file",
        ),
    ],
)
def test_a_mistake_with_other_layouts_gets_one_sentence(capsys, place, trained, arguments, expected):
    check_mistake(capsys, place, trained, arguments, expected)
