"""`predict --explain`: which words carry a prediction, and the nearest of given sentences."""

import json

import pytest
from commands import check_refusal, run

from intent_bert.cli.explaining import explanation_lines
from intent_bert.inference.explanation import ExplainedIntent, Explanation, Word
from intent_bert.inference.known_sentences import Neighbour

NO_SENTENCES = "the model folder keeps no sentence of its training: --train-file FILE shows those that are nearest\n"


def test_an_explanation_in_lines():
    words = [Word("play", 0, 0.4512), Word("it", 5, -0.00021), *(Word("x", 9, 0.0) for _ in range(12))]
    found = Explanation("play it", [ExplainedIntent("music", 0.9, words)], [Neighbour("play", "music", 0.917)])
    zeros = "  ".join(["x -0.0000"] * 10)
    assert list(explanation_lines(found, several=False)) == [
        f"  without: play -0.4512  it +0.0002  {zeros}  and 2 more",
        "  near: 0.92 music  play",
    ]
    assert next(explanation_lines(found, several=True)).startswith("  music without: play -0.4512  it")
    assert list(explanation_lines(Explanation("", [], None), several=False)) == []


def test_words_are_named_on_the_terminal_and_as_json(capsys, trained):
    code, out, err = run(capsys, "predict", trained.folder, "--explain", "play my song", "")
    assert (code, err) == (0, NO_SENTENCES)
    first, words, second = out.splitlines()
    assert first.startswith("music ") and first.endswith("\tplay my song")
    assert words.startswith("  without: ") and second == "- 0.0000\t"
    code, out, _ = run(capsys, "predict", trained.folder, "--explain", "--json", "play my song", "")
    one, nothing = map(json.loads, out.splitlines())
    (explained,) = one["explanation"]
    assert explained["intent"] == one["intent"] == "music"
    assert sorted(word["word"] for word in explained["words"]) == ["my", "play", "song"]
    drops = [word["drop"] for word in explained["words"]]
    assert drops == sorted(drops, reverse=True)
    assert [each["word"] for each in explained["words"]] == [part.split()[0] for part in words[11:].split("  ")]
    assert (one["nearest"], nothing["explanation"], nothing["nearest"]) == (None, [], None)


def test_each_intent_of_a_multi_label_model_has_a_line(capsys, several):
    code, out, _ = run(capsys, "predict", several.folder, "--explain", "--json", "play music and will it rain")
    line = json.loads(out)
    assert code == 0
    assert [each["intent"] for each in line["explanation"]] == line["intents"]


def test_the_nearest_sentences_of_a_table(capsys, trained, several):
    train = trained.folder.parent / "train.csv"
    command = ["predict", trained.folder, "--explain", "--train-file", train, "play my song"]
    code, out, err = run(capsys, *command)
    assert (code, err) == (0, "")
    assert len([line for line in out.splitlines() if line.startswith("  near: ")]) == 3
    nearest = json.loads(run(capsys, *command, "--json")[1])["nearest"]
    assert set(nearest[0]) == {"text", "label", "similarity"}
    test = several.folder.parent / "test.csv"
    command = ["predict", several.folder, "--explain", "--train-file", test, "--json", "book a table. play my song"]
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert json.loads(out)["nearest"][0]["label"] == "music|table"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--train-file", "t.csv", "a"], "--train-file is for --explain: give that too"),
        (["--explain", "--train-file", "t.csv", "a"], "no such file: t.csv"),
        (["--explain", "--input", "a.csv", "--output", "b.csv"], "--explain is for stdout: leave --output out"),
    ],
)
def test_options_that_do_not_go_together(capsys, trained, options, told):
    check_refusal(run(capsys, "predict", trained.folder, *options), told)
