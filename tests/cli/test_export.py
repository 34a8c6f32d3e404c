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
        f"{check['largest_difference']:.2g}, 0 answers changed",
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
