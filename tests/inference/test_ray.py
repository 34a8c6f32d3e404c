"""Batch scoring with Ray Data: workers of their own answer what one process answers, in order."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import predict_with_ray
import pyarrow as pa
import pytest

from intent_bert import IntentPredictor

SCRIPTS = Path(__file__).parents[2] / "scripts"

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'ray[data]'")

COUNTED = """
import os, sys, time
from pathlib import Path
import predict_with_ray

class Counted(predict_with_ray.Scorer):
    def __call__(self, table):
        (Path(workers) / str(os.getpid())).touch()
        time.sleep(0.3)  # so that the other worker gets some too
        return super().__call__(table)

workers = sys.argv[1]
predict_with_ray.Scorer, predict_with_ray.ROWS = Counted, 32
sys.exit(predict_with_ray.main(sys.argv[2:]))
"""


def run(command: list, **settings: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *sys.path]), **settings}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@needs_ray
def test_two_workers_answer_what_one_process_answers(trained, small_table, tmp_path):
    texts = [
        *small_table.text,
        "42",
        'a "quoted", text\nof two lines',
        *(f"play song {number}" for number in range(200)),
    ]
    table = pd.DataFrame({"id": range(len(texts)), "question": texts})
    source, output, workers = (tmp_path / name for name in ("parts", "answers", "workers"))
    source.mkdir()
    workers.mkdir()
    for part in range(4):
        table[part * 80 : (part + 1) * 80].to_csv(source / f"{part}.csv", index=False)
    options = ["--text-column", "question", "--workers", 2]
    done = run([sys.executable, "-c", COUNTED, workers, trained.folder, source, output, *options])
    assert done.returncode == 0, done.stderr
    assert len(list(workers.iterdir())) == 2
    answers = pd.concat([pd.read_csv(file) for file in sorted(output.iterdir())], ignore_index=True)
    assert list(answers.columns) == ["id", "question", "intent", "confidence"]
    assert answers[["id", "question"]].equals(table)
    expected = IntentPredictor.load(trained.folder).predict(texts)
    assert answers.intent.tolist() == [answer.intent for answer in expected]
    assert answers.confidence.tolist() == pytest.approx([answer.confidence for answer in expected], abs=1e-5)


@pytest.mark.slow
@needs_ray
def test_several_intents_a_text_or_none(several, tmp_path):
    lines = ['{"text": "play music and will it rain"}', '{"text": " "}', '{"text": null}', '{"text": "book a table"}']
    (tmp_path / "few.jsonl").write_text("".join(f"{line}\n" for line in lines))
    script = [sys.executable, SCRIPTS / "predict_with_ray.py"]
    done = run([*script, several.folder, tmp_path / "few.jsonl", tmp_path / "out", "--workers", 1])
    assert done.returncode == 0, done.stderr
    lines = "".join(file.read_text() for file in sorted((tmp_path / "out").iterdir())).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [set(row["intents"]) for row in rows] == [{"music", "weather"}, set(), set(), {"table"}]
    assert [row["intent"] for row in rows] == [rows[0]["intents"][0], None, None, "table"]
    assert [row["confidence"] for row in rows[1:3]] == [0.0, 0.0]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_a_worker_names_all_intents_of_a_text(several, kind):
    worker = predict_with_ray.Scorer(str(several.folder), kind, "text", "auto", 1)
    found = worker(pa.table({"id": [1, 2], "text": ["play music and will it rain", None]})).to_pydict()
    assert list(found) == ["id", "text", "intents", "intent", "confidence"]
    first, none = found["intents"]
    assert set(first.split("|") if kind == ".csv" else first) == {"music", "weather"}
    assert none == ("" if kind == ".csv" else [])


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("no-model", "in.csv", "out"), "no-model"),
        (("model", "none.csv", "out"), "no such file or folder: none.csv"),
        (("model", "in.csv", "full"), "full is there already: name another folder, or empty it"),
        (("model", "in.csv", "out", "--text-column", "question"), "in.csv has no column 'question'; it has: text"),
        (("model", "taken.csv", "out"), "taken.csv has a column 'intent' already: rename it, the predictions are"),
        (("model", "notes.txt", "out"), "can't tell how to read notes.txt: expected .csv or .jsonl or .parquet"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(trained, tmp_path, monkeypatch, capsys, places, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "part.csv").touch()
    (tmp_path / "in.csv").write_text("text\nplay a song\n")
    (tmp_path / "taken.csv").write_text("text,intent\nplay a song,music\n")
    (tmp_path / "notes.txt").write_text("play a song\n")
    (tmp_path / "model").symlink_to(trained.folder)
    assert predict_with_ray.main(list(places)) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("intent-bert: ") and message in sentence
    assert not (tmp_path / "out").exists()
