"""Drift: no alarm on sentences as usual, one on others; week by week; what can't be told; the sketch in its folder."""

import json
import shutil
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from intent_bert import IntentPredictor, calibrate, detect_drift, learn_usual
from intent_bert.data.tables import read_table
from intent_bert.errors import DataError, ModelFolderError, SettingsError
from intent_bert.evaluation.drawing import png_bytes
from intent_bert.model.folder import SKETCH_FILE, ModelFolder
from intent_bert.model.sketch import Observed, Sketch
from intent_bert.workbench.drift import ALL, compared
from intent_bert.workbench.drift_plot import drift_plot

CLASSES = ["a", "b", "c"]
KNOWN = ["play music", "will it rain", "book a table", "play my song now", "sunny weather now", "restaurant table"]
STRANGE = ["qq zz xx vv", "k j h g f d s", "12 34 56 78 90 12", "zzzz", "what for is it will be of the a"]


def some(number: int, seed: int, shift: float = 0.0) -> Observed:
    """Sentences from one source; with a shift from another."""
    rng = np.random.default_rng(seed)
    scores = (rng.normal(size=number) - 2 * shift).astype("float32")
    return Observed(
        rng.choice(3, number, p=[0.5, 0.3, 0.2]),
        np.clip(rng.normal(0.9 - shift, 0.1, number), 0, 1).astype("float32"),
        scores,
        scores < -1.6,
        rng.poisson(8, number),
        rng.choice([0.0, 0.15, 0.3], number),
        (rng.normal(size=(number, 36)) + shift).astype("float32"),
    )


@pytest.fixture(scope="module")
def sketch() -> Sketch:
    return Sketch.of(some(700, 0), len(CLASSES))


def drift_of(sketch, **parts):
    return compared(sketch, {name: sketch.profile(part) for name, part in parts.items()}, CLASSES, 0.01, 0)


def test_sentences_as_usual_raise_no_alarm(sketch):
    found = [drift_of(sketch, all=some(300, seed)).found for seed in range(1, 41)]
    assert sum(found) <= 2


def test_other_sentences_do_and_the_cells_say_why(sketch):
    drift = drift_of(sketch, all=some(300, 1, shift=0.6))
    rows = drift.tests.set_index("what")
    assert drift.found
    assert rows["drifted"].to_dict() == {
        "intents": False, "confidence": True, "length": False, "unknown words": False, "score": True, "refused": True,
        "vectors": True,
    }  # fmt: skip
    refused = drift.changes[drift.changes["what"] == "refused"].set_index("cell")
    assert refused.loc["refused", "new"] > 3 * refused.loc["refused", "usual"]
    assert json.loads(json.dumps(drift.to_dict()))["drift"] is True


def test_a_trifle_in_many_rows_is_no_drift(sketch):
    usual = some(4000, 5)
    rng = np.random.default_rng(0)
    longer = usual._replace(lengths=usual.lengths + (rng.random(4000) < 0.12))
    row = drift_of(sketch, all=longer).tests.set_index("what").loc["length"]
    assert row["p_value"] < 0.05 and row["effect"] < row["least_effect"] and not row["drifted"]


def test_weeks_with_too_few_rows_are_not_told(sketch):
    weeks = {"2026-01-05": some(200, 2), "2026-01-12": some(20, 3, 0.6), "2026-01-19": some(200, 4, 0.6)}
    drift = drift_of(sketch, all=some(420, 5), **weeks)
    told = drift.tests.groupby("period")[["drifted", "effect"]].agg({"drifted": "any", "effect": "count"})
    assert told["drifted"].to_dict() == {ALL: False, "2026-01-05": False, "2026-01-12": False, "2026-01-19": True}
    assert told["effect"]["2026-01-12"] == 0
    assert drift.found
    few = [row for row in drift.to_dict()["tests"] if row["period"] == "2026-01-12"]
    assert {row["effect"] for row in few} == {row["p_value"] for row in few} == {None}
    assert png_bytes(drift_plot(drift, "weeks $")).startswith(b"\x89PNG")


# --- with a model ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usual(small_table) -> list[str]:
    return list(small_table["text"])


@pytest.fixture(scope="module")
def watched(trained, usual, tmp_path_factory):
    """The small model with a sketch."""
    folder = tmp_path_factory.mktemp("watched") / "model"
    shutil.copytree(trained.folder, folder)
    assert learn_usual(folder, usual) == len(usual)
    return folder


def test_a_sketch_is_added_and_the_model_stays(watched, trained, usual):
    assert ModelFolder(trained.folder).sketch is None  # its validation rows were too few
    assert ModelFolder(watched).sketch.rows == len(usual)
    assert (watched / SKETCH_FILE).stat().st_size < 300_000
    np.testing.assert_array_equal(
        *(IntentPredictor.load(each).predict_proba(KNOWN) for each in (watched, trained.folder))
    )
    content = (watched / SKETCH_FILE).read_bytes()
    assert b"music" not in content
    (damaged := watched.parent / "damaged").mkdir()
    shutil.copytree(watched, damaged, dirs_exist_ok=True)
    (damaged / SKETCH_FILE).write_bytes(content[:100])
    with pytest.raises(ModelFolderError, match=r"sketch\.npz is not the file that was saved"):
        detect_drift(damaged, usual)


def test_a_table_is_compared(watched, usual, tmp_path):
    assert not detect_drift(watched, usual).found
    pd.DataFrame({"q": STRANGE * 12}).to_csv(tmp_path / "s.csv", index=False)
    strange = detect_drift(watched, tmp_path / "s.csv", text_column="q")
    assert strange.found and strange.tests["rows"].eq(60).all()


def test_weeks_come_from_a_column_of_dates(watched, usual, tmp_path):
    days = [date(2026, 1, 7) + timedelta(days=7 * (row >= 80)) for row in range(len(usual) + 60)]
    table = pd.DataFrame({"text": usual + STRANGE * 12, "when": days})
    table = table.iloc[np.random.default_rng(0).permutation(len(table))]
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    csv, parquet = (detect_drift(watched, tmp_path / f"t.{end}", date_column="when") for end in ("csv", "parquet"))
    assert csv.tests["period"].unique().tolist() == [ALL, "2026-01-05", "2026-01-12"]
    pd.testing.assert_frame_equal(csv.tests, parquet.tests)
    pd.testing.assert_frame_equal(csv.tests, detect_drift(watched, table, date_column="when").tests)
    assert not csv.tests[csv.tests["period"] == "2026-01-05"]["drifted"].any()
    assert csv.found


def test_calibrate_makes_the_sketch_anew(watched, small_table, tmp_path):
    shutil.copytree(watched, tmp_path / "model")
    calibrate(tmp_path / "model", small_table.iloc[:60])
    folder = ModelFolder(tmp_path / "model")
    assert folder.sketch.rows == 60 and "refused" in folder.sketch.usual.counts
    calibrate(tmp_path / "model", read_table(small_table.iloc[:40]))
    assert ModelFolder(tmp_path / "model").sketch is None  # the former one tells of another decision
    assert not (tmp_path / "model" / SKETCH_FILE).exists()


def test_a_multi_label_model_can_be_watched(several, usual, tmp_path):
    shutil.copytree(several.folder, tmp_path / "model")
    learn_usual(tmp_path / "model", usual)
    assert not detect_drift(tmp_path / "model", usual).found
    assert detect_drift(tmp_path / "model", STRANGE * 12).found


def test_mistakes_get_a_sentence(watched, trained, usual, tmp_path):
    with pytest.raises(
        ModelFolderError, match=r"has no sketch of usual sentences .* intent-bert drift .* USUAL --learn adds"
    ):
        detect_drift(trained.folder, usual)
    with pytest.raises(DataError, match="has 49 sentences, too few to tell drift: give 50 at least"):
        detect_drift(watched, usual[:49])
    with pytest.raises(DataError, match="has 49 sentences, too few to tell what is usual: give 50"):
        learn_usual(watched, usual[:49])
    with pytest.raises(SettingsError, match="false_alarms must be a share"):
        detect_drift(watched, usual, false_alarms=1)
    pd.DataFrame({"text": usual, "when": ["2026-01-07", *["soon"] * (len(usual) - 1)]}).to_csv(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv, row 3, column 'when': expected a date such as .* found 'soon'"):
        detect_drift(watched, tmp_path / "t.csv", date_column="when")
    with pytest.raises(DataError, match=r"has no column 'day'; it has: .*--date-column"):
        detect_drift(watched, tmp_path / "t.csv", date_column="day")
