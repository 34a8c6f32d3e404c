"""The parts of benchmarks/ that need none of its environments: FLOPs, medians, ratios, tables, clocks, turns.

Nothing here measures: a test must not depend on how fast the machine is.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from intent_bert import read_table

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PLACES = [str(BENCHMARKS), str(BENCHMARKS / "peers")]
sys.path[:0] = PLACES

import environments  # noqa: E402
import figures  # noqa: E402
import growth  # noqa: E402
import jobs  # noqa: E402
import picture  # noqa: E402
import protocol  # noqa: E402
import run  # noqa: E402
import several_intents  # noqa: E402

sys.path[:] = [place for place in sys.path if place not in PLACES]

MINILM = {"layers": 6, "hidden": 384, "intermediate": 1536, "classes": 7}


def record(part: str, peer: str, size: str = "minilm", **values: object) -> dict:
    return {"part": part, "size": size, "peer": peer, "round": 0, "others": 0.01, "commit": "abcdef0", **values}


def training(peer: str, *rates: float, size: str = "minilm") -> list[dict]:
    return [record("training", peer, size, result={"sentences_per_second": rate}) for rate in rates]


@pytest.fixture
def results() -> dict:
    """A small results file: a bit of every part."""
    answers = {"p50_ms": 4.0, "p99_ms": 9.0, "batch_sentences_per_second": 400.0, "accuracy": 0.99}
    slower = {"p50_ms": 10.0, "p99_ms": 12.0, "batch_sentences_per_second": 500.0, "accuracy": 0.98}
    until = {"seconds": 50.0, "reached": True, "best": 0.981, "sentences": 4000}
    capped = {"seconds": 1800.0, "reached": False, "best": 0.9, "sentences": 60000}
    whole = {"seconds": 300.0, "accuracy": 0.99, "finished": True}
    return {
        "date": "2026-01-02",
        "machine": {"cpu": "A processor", "cores": 2, "memory_gb": 16},
        "python": "3.12.1",
        "settings": {"repeats": 3, "quick": False},
        "sizes": {"minilm": {"shape": MINILM, "mean_tokens": 12.5, "training_flops": 1e9}},
        "versions": {"torch": {"transformers": "5.0", "torch": "2.0"}, "product": {"keras": "3.9"}},
        "records": [
            record("peak", "tensorflow", "", result={"float32": 200.0, "bfloat16": 400.0}),
            record("peak", "pytorch", "", result={"float32": 250.0, "bfloat16": 300.0}),
            *training("intent_bert", 90.0, 110.0, 100.0),
            *training("intent_bert-bf16", 200.0),
            *training("torch", 50.0, 45.0, 70.0),
            record("training", "tutorial", error="ended with code 1: no such thing"),
            record("answering", "intent_bert", result=answers),
            record("answering", "hf-pipeline", result=slower),
            record("start", "intent_bert", result={"seconds": 6.0}),
            record("start", "huggingface", result={"seconds": 8.0}),
            record("time-to-98", "intent_bert", result=until),
            record("time-to-98", "tutorial", result=capped),
            record("accuracy", "intent_bert", result=whole),
        ],
    }


# --- FLOPs -----------------------------------------------------------------------------------------------------------


def test_flops_by_hand() -> None:
    shape = {"layers": 1, "hidden": 2, "intermediate": 3, "classes": 5}
    assert figures.matmul_parameters(shape) == 4 * 2 * 2 + 2 * 2 * 3 == 28
    # three tokens: 6 x 28 x 3 in the layer, 12 x 1 x 2 x 9 in attention, 6 x (4 + 10) in the head
    assert figures.training_flops(shape, [3]) == 504 + 216 + 84
    assert figures.training_flops(shape, [1]) == 168 + 24 + 84
    assert figures.training_flops(shape, [3, 1]) == (804 + 276) / 2


def test_flops_grow_with_layers_alone_but_for_the_head() -> None:
    assert figures.matmul_parameters(MINILM) == 10_616_832
    head = 6 * (384 * 384 + 384 * 7)
    once, twice = (figures.training_flops({**MINILM, "layers": layers}, [12, 20]) - head for layers in (6, 12))
    assert twice == 2 * once


# --- medians and ratios ----------------------------------------------------------------------------------------------


def test_medians(results: dict) -> None:
    assert figures.spread(results, "training", "minilm", "torch", "sentences_per_second") == (50.0, 45.0, 70.0)
    assert figures.spread(results, "training", "base", "torch", "sentences_per_second") is None
    assert figures.spread(results, "training", "minilm", "tutorial", "sentences_per_second") is None


def test_a_ratio_above_one_is_always_faster(results: dict) -> None:
    by_key = {(metric.part, metric.key): metric for metric in figures.METRICS}
    rate, latency = by_key["training", "sentences_per_second"], by_key["answering", "p50_ms"]
    many = by_key["answering", "batch_sentences_per_second"]
    assert figures.ratio(results, rate, "minilm", "torch") == 0.5
    assert figures.ratio(results, rate, "minilm", "intent_bert") == 1
    assert figures.ratio(results, latency, "minilm", "hf-pipeline") == 0.4
    assert figures.ratio(results, many, "minilm", "hf-pipeline") == 1.25
    assert figures.ratio(results, rate, "minilm", "tutorial") is None


def test_no_ratio_to_a_goal_that_intent_bert_did_not_reach(results: dict) -> None:
    (metric,) = (metric for metric in figures.METRICS if metric.part == "time-to-98")
    assert figures.ratio(results, metric, "minilm", "tutorial") == 50 / 1800
    assert not figures.reached(results, "minilm", "tutorial")
    results["records"].append(record("time-to-98", "intent_bert", result={"seconds": 60.0, "reached": False}))
    assert figures.ratio(results, metric, "minilm", "tutorial") is None


def test_the_peak_is_the_better_of_two_libraries(results: dict) -> None:
    assert figures.peak(results, "float32") == 250
    assert figures.peak(results, "bfloat16") == 400
    assert figures.peak({"records": []}, "float32") is None


# --- Markdown --------------------------------------------------------------------------------------------------------


def test_how_often_figures_were_taken(results: dict) -> None:
    assert figures.rounds_of(results) == "1 to 3 rounds"
    for times, told in ((1, "1 round"), (2, "2 rounds")):
        assert figures.rounds_of({"records": training("torch", *[1.0] * times)}) == told


def test_markdown(results: dict) -> None:
    lines = figures.markdown(results, "RESULTS.png").splitlines()
    assert "![The speed of intent_bert and its peers: sentences a second, and seconds](RESULTS.png)" in lines
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| `")}
    assert (
        "| `torch` | a hand-written PyTorch loop, length buckets of 32 | **50.0** (45.0-70.0) | 0.50 | 50 | 20.0% |"
        in lines
    )
    assert "| **200.0** | 2.00 | 200 | 50.0% |" in rows["`intent_bert-bf16`"]  # of the peak in bfloat16
    assert "| **10.00** | **12.00** | 0.40 | **500** | 1.25 | 98.0% |" in rows["`hf-pipeline`"]
    assert "| **8.00** | 0.75 |" in rows["`huggingface`"]
    assert "| more than **1800** | under 0.028 | 60000 | 90.00% |" in rows["`tutorial`"]
    assert "- training, minilm, `tutorial`: ended with code 1: no such thing" in lines
    assert "intent_bert at abcdef0; Python 3.12.1." in lines
    assert "product: keras 3.9." in lines
    assert "torch: torch 2.0, transformers 5.0." in lines
    assert not any("Not a quiet machine" in line for line in lines)


def test_markdown_of_a_part(results: dict) -> None:
    results["records"] = training("intent_bert", 100.0)
    text = figures.markdown(results)
    assert "## Training" in text
    assert "## Answering" not in text
    assert "What did not run" not in text
    assert "| **100.0** | 1.00 | 100 |  |" in text  # no peak, so no share of it


def test_a_disturbed_machine_is_told(results: dict) -> None:
    results["records"][0]["others"] = 0.4
    assert "**Not a quiet machine:** in 1 of 17 measurements" in figures.markdown(results)


def test_every_table_has_as_many_cells_as_its_header(results: dict) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", figures.markdown(results), re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_picture(results: dict, tmp_path: Path) -> None:
    shown = {panel.title.split("\n")[0]: panel for panel in picture.panels(results)}
    assert list(shown) == [
        "Training",
        "Answering one sentence after the other",
        "Answering many sentences at once",
        "From the shell prompt to the answer",
        "Training until 98 % of snips/test are right",
    ]
    assert shown["Training"].unit == "sentences a second"
    assert shown["Training"].bars[-1] == ("torch", 50.0, "50")
    assert shown["Answering one sentence after the other"].bars[0][1:] == (250.0, "250   (4.00 ms each)")
    assert picture.label("trainer-grouped-bf16") == "HF Trainer, grouped by length, bfloat16"
    assert picture.label("intent_bert-onnx-int8") == "intent_bert, int8"
    assert picture.label("unheard-of") == "unheard-of"
    (tmp_path / "results.json").write_text(json.dumps(results))
    picture.draw(results).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_every_job_has_its_script_and_its_name_once() -> None:
    names = [(job.part, job.peer) for job in jobs.JOBS]
    assert len(set(names)) == len(names)
    assert {job.part for job in jobs.JOBS} == set(jobs.PARTS)
    for job in jobs.JOBS:
        assert job.environment in (environments.PRODUCT, *environments.STEPS)
        assert (job.part, job.peer) == ("start", jobs.OWN) or (BENCHMARKS / "peers" / job.script).is_file()
        assert (job.part == "start") == (job.part not in jobs.TASKS)
    for part in set(jobs.PARTS) - {"peak"}:
        assert (part, jobs.OWN) in names


def test_every_engine_is_asked() -> None:
    engines = [job.variant for job in jobs.JOBS if job.part == "answering" and job.environment == environments.PRODUCT]
    assert engines == list(jobs.ENGINES)


def test_peers_take_turns() -> None:
    chosen = jobs.chosen(("time-to-98",), ("intent_bert", "torch", "tutorial"), jobs.SIZES)
    turns = [(number, job.peer) for number, job, _ in jobs.rounds(chosen, 3)]
    assert turns == [
        (0, "intent_bert"), (0, "torch"), (0, "tutorial"),
        (1, "intent_bert"), (1, "torch"),
        (2, "intent_bert"), (2, "torch"),
    ]  # fmt: skip


def test_choosing() -> None:
    assert {job.part for job, _ in jobs.chosen(jobs.DEFAULT_PARTS, (), jobs.SIZES)} == set(jobs.DEFAULT_PARTS)
    both = jobs.chosen(("training",), ("torch",), jobs.SIZES)
    assert [(job.peer, size) for job, size in both] == [("torch", "minilm"), ("torch", "base")]
    whole = [job.peer for job, _ in jobs.chosen(("accuracy",), (), jobs.SIZES)]
    assert "tutorial" in whole
    assert "kerashub-guide" not in whole  # hours
    asked = jobs.chosen(("accuracy",), ("kerashub-guide",), jobs.SIZES)
    assert [job.peer for job, _ in asked] == ["kerashub-guide"]


# --- sentences and clocks --------------------------------------------------------------------------------------------


def test_every_peer_sees_the_same_sample() -> None:
    rows = protocol.sample_rows(1000, warmup=2, steps=3, seed=0)
    assert rows == protocol.sample_rows(1000, warmup=2, steps=3, seed=0)
    assert len(set(rows)) == 5 * protocol.COMMON_BATCH
    assert sorted(protocol.sample_rows(100, warmup=2, steps=3, seed=0)) == list(range(100))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in protocol.MIXED_SOURCES:
        (tmp_path / name).mkdir()
        for split, rows in (("train", 60), ("test", 10)):
            lines = [f'"{name} {split}, {row}",{"ba"[row % 2]}' for row in range(rows)]
            (tmp_path / name / f"{split}.csv").write_text("\n".join(["text,intent", *lines]) + "\n")
    return tmp_path


def test_sentences_of_three_sources_in_equal_parts(data: Path) -> None:
    texts = protocol.mixed_sentences(data, 100)
    assert len(set(texts)) == 100
    counts = [sum(text.startswith(name) for text in texts) for name in protocol.MIXED_SOURCES]
    assert counts == [33, 33, 34]


def test_snips_labels_are_numbers_of_sorted_classes(data: Path) -> None:
    request = protocol.Request("speed", data=str(data), warmup=0, steps=1)
    train, test = protocol.snips(request)
    assert train.classes == ["a", "b"]
    assert len(train.texts) == 32
    assert all(("ba"[int(text.split()[-1]) % 2] == "ab"[label]) for text, label in zip(train.texts, train.labels))  # noqa: B905
    assert test.texts[0] == "snips test, 0"
    assert test.labels[:2] == [1, 0]
    whole, _ = protocol.snips(protocol.Request("whole", data=str(data)))
    assert len(whole.texts) == 60
    assert whole.texts != sorted(whole.texts)


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that perf_counter tells, set by the test."""
    now = [0.0]
    monkeypatch.setattr(protocol.time, "perf_counter", lambda: now[0])
    return now


def no_accuracy() -> float:
    raise AssertionError("nobody asked for the accuracy")


@pytest.mark.parametrize("batch", [8, 32])
def test_speed_is_of_the_steps_after_the_warm_up(tick: list[float], batch: int) -> None:
    share = protocol.COMMON_BATCH // batch
    clock = protocol.clock_of(protocol.Request("speed", warmup=2, steps=3), batch)
    tick[0] = 100.0
    clock.start()
    made = 0
    for step in range(10 * share):
        tick[0] += 5.0 / share if step < 2 * share else 0.5 / share
        made += 1
        if clock.stop_after_step(no_accuracy):
            break
    assert made == 5 * share
    result = clock.result(no_accuracy)
    assert result["sentences_per_second"] == pytest.approx(64)
    assert (result["steps"], result["seconds"], result["warmup_seconds"]) == pytest.approx((3 * share, 1.5, 10.0))


def test_a_fit_ends_when_the_clock_does(tick: list[float]) -> None:
    keras = SimpleNamespace(callbacks=SimpleNamespace(Callback=object))
    clock = protocol.clock_of(protocol.Request("speed", warmup=1, steps=2), protocol.COMMON_BATCH)
    clock.start()
    callback = protocol.stopping(keras, clock, no_accuracy)
    callback.model = SimpleNamespace(stop_training=False)
    stopped = []
    for step in range(3):
        tick[0] += 1.0
        callback.on_train_batch_end(step)
        stopped.append(callback.model.stop_training)
    assert stopped == [False, False, True]


def test_a_slow_peer_stops_early_but_not_at_once(tick: list[float]) -> None:
    clock = protocol.clock_of(protocol.Request("speed", warmup=5, steps=60, max_seconds=10.0), 16)
    clock.start()
    made = 0
    while True:
        tick[0] += 40.0
        made += 1
        if clock.stop_after_step(no_accuracy):
            break
    assert made == 3
    assert clock.result(no_accuracy)["sentences_per_second"] == pytest.approx(16 / 40)


def test_until_leaves_the_asking_out(tick: list[float]) -> None:
    accuracies = iter([0.5, 0.97, 0.985])

    def accuracy() -> float:
        tick[0] += 1000.0
        return next(accuracies)

    clock = protocol.clock_of(protocol.Request("until", every=10, goal=0.98), 16)
    clock.start()
    steps = 0
    while True:
        tick[0] += 1.0
        steps += 1
        if clock.stop_after_step(accuracy):
            break
    result = clock.result(no_accuracy)
    assert steps == 60  # asked every ten batches of 32, which are twenty of 16
    assert (result["seconds"], result["reached"], result["sentences"], result["best"]) == (60.0, True, 960, 0.985)
    assert result["curve"] == [(20.0, 320, 0.5), (40.0, 640, 0.97), (60.0, 960, 0.985)]


def test_until_gives_up_at_the_cap(tick: list[float]) -> None:
    clock = protocol.clock_of(protocol.Request("until", every=10, cap_seconds=33.0), 32)
    clock.start()
    stopped = []
    while not stopped or not stopped[-1]:
        tick[0] += 4.0
        stopped.append(clock.stop_after_step(lambda: 0.6))
    result = clock.result(no_accuracy)
    assert len(stopped) == 9
    assert (result["seconds"], result["reached"], result["best"]) == (36.0, False, 0.6)


def test_until_asks_once_more_when_the_recipe_ends(tick: list[float]) -> None:
    clock = protocol.clock_of(protocol.Request("until", every=10), 32)
    clock.start()
    for _ in range(13):
        tick[0] += 1.0
        assert not clock.stop_after_step(lambda: 0.6)
    result = clock.result(lambda: 0.99)
    assert (result["seconds"], result["sentences"], result["reached"]) == (13.0, 13 * 32, True)


def test_whole(tick: list[float]) -> None:
    clock = protocol.clock_of(protocol.Request("whole", cap_seconds=10.0), 16)
    clock.start()
    for _ in range(4):
        tick[0] += 2.0
        assert not clock.stop_after_step(no_accuracy)
    tick[0] += 100.0
    result = clock.result(lambda: 0.7)
    assert result == {"seconds": 8.0, "accuracy": 0.7, "sentences": 64, "finished": True}


def test_share_right_is_plain_json() -> None:
    numpy = pytest.importorskip("numpy")
    share = protocol.share_right(list(numpy.array([1, 2, 2, 0])), [1, 2, 3, 0])
    assert json.dumps([share, share >= 0.75]) == "[0.75, true]"


def test_answers(data: Path, tick: list[float]) -> None:
    def one(text: str) -> str:
        tick[0] += 0.25 if text.endswith(" 9") else 0.002
        return "ba"[int(text.split()[-1]) % 2]

    def many(texts: list[str]) -> list[str]:
        tick[0] += len(texts) / 10
        return [one(text) for text in texts]

    request = protocol.Request("answer", data=str(data), singles=10, batch=90)
    result = protocol.measure_answers(request, one, many)
    assert result["p50_ms"] == pytest.approx(2)
    assert result["p99_ms"] > 200
    assert result["accuracy"] == 1
    assert 6 < result["batch_sentences_per_second"] < 10
    with pytest.raises(ValueError, match="1 answers to 90 sentences"):
        protocol.measure_answers(request, one, lambda texts: ["a"])
    sizes = []

    def timed(texts: list[str], size: int) -> None:
        sizes.append((len(texts), size))
        tick[0] += abs(size - 32)

    assert protocol.best_batch_size(request, timed, (8, 32, 64)) == 32
    assert sizes[1:] == [(18, 8), (18, 32), (18, 64)]


def test_the_best_product_counts(tick: list[float]) -> None:
    seconds = iter([9.0, 0.5, 0.25, 0.5])

    def multiply() -> None:
        tick[0] += next(seconds)

    assert protocol.best_gflops(multiply, size=1000, seconds=1.0) == 8


# --- the driver ------------------------------------------------------------------------------------------------------


def test_the_driver_imports_nothing_heavy() -> None:
    heavy = ("torch", "tensorflow", "keras", "numpy", "matplotlib", "intent_bert")
    code = f"import run, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list", "--only", "start", "--peers", "huggingface"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["start", "minilm", "huggingface"]


def test_a_mistake_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--only", "trainig"], "argument --only: 'trainig' is none of peak, training"),
        (["--peers", "nobody"], "argument --peers: 'nobody' is none of tensorflow, pytorch, intent_bert"),
        (["--repeats", "0"], "--repeats, --cores and --steps must be at least 1"),
    ):
        with pytest.raises(SystemExit) as stop:
            run.main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no measurement is left"):
        run.main(["--only", "start", "--peers", "tutorial"])
    with pytest.raises(SystemExit, match="name the product's Python with --python"):
        run.main(["--only", "start", "--python", "/no/such/python"])


def test_requests() -> None:
    options = run.parse(["--steps", "7", "--cap-minutes", "2"])
    assert run.request_of("speed", "minilm", options).steps == run.request_of("speed", "base", options).steps == 7
    assert run.request_of("until", "minilm", options).cap_seconds == 120
    plain = run.parse([])
    assert run.request_of("speed", "base", plain).steps < run.request_of("speed", "minilm", plain).steps
    quick = run.parse(["--quick"])
    assert run.request_of("answer", "minilm", quick).batch < run.request_of("answer", "base", plain).batch
    assert quick.folder != plain.folder
    assert (quick.repeats, plain.repeats) == (1, 3)


def test_a_peer_that_fails_is_recorded() -> None:
    def ended(code: str) -> str:
        with pytest.raises(run.MeasurementError) as error:
            run.run([sys.executable, "-c", code], "torch", 1, limit=20.0)
        return str(error.value)

    assert ended("raise ValueError('no such thing')") == "ended with code 1: ValueError: no such thing"
    assert (
        ended(f"raise SystemExit({str(environments.ROOT)!r} + '/x is missing')") == "ended with code 1: ./x is missing"
    )
    assert run.run([sys.executable, "-c", "print('noise'); print(1)"], "torch", 1, limit=20.0) == "noise\n1\n"
    with pytest.raises(run.MeasurementError, match="no answer within 0 s"):
        run.run([sys.executable, "-c", "import time; time.sleep(60)"], "torch", 1, limit=0.2)


def test_peers_do_not_see_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert "PYTHONPATH" not in environments.variables("torch")
    assert environments.variables(environments.PRODUCT)["PYTHONPATH"] == str(environments.ROOT)


def test_torch_is_installed_first_and_by_its_pin() -> None:
    lines = (BENCHMARKS / "requirements-peers.txt").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if line and not line.startswith("#"))
    assert re.fullmatch(r"torch==[\d.]+", first)
    assert environments.STEPS["torch"][0] == (first,)


def test_the_readme_tells_every_part_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{part}` |" in text for part in jobs.PARTS)
    with pytest.raises(SystemExit):
        run.main(["--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    told = set(re.findall(r"--[a-z][a-z-]+", text))
    assert options - told <= {"--list", "--python"}


# --- growth ----------------------------------------------------------------------------------------------------------


def test_growth_tells_the_slope_between_the_largest_two_sizes_and_draws_them(tmp_path):
    points = [{"size": size, "seconds": 2.0 * size**1.5} for size in (1, 10, 100)]
    assert growth.slope(points) == pytest.approx(1.5)
    found = {what: [{"size": size, "seconds": size / 10} for size in sizes] for what, sizes in growth.SIZES.items()}
    growth.draw(found, tmp_path / "all.png")
    growth.draw({"rows": found["rows"]}, tmp_path / "one.png")
    assert (tmp_path / "all.png").stat().st_size > (tmp_path / "one.png").stat().st_size > 5_000


def test_growth_writes_a_table_that_can_be_trained_on(tmp_path):
    growth.write_table(tmp_path / "table.csv", 5_000)
    table = read_table(tmp_path / "table.csv")
    assert len(table) == 5_000
    assert table.text.nunique() > 4_900
    assert table.intent.nunique() == 7


# --- several intents ---------------------------------------------------------------------------------------------


def test_the_judge_of_mixed_sentences_glues_in_ways_of_its_own():
    from intent_bert.data import mixing

    learnt = (*mixing.PLAIN_JOINTS, *mixing.INNER_JOINTS, *mixing.NEW_SENTENCES)
    words = {" ".join(re.findall(r"[a-z']+", joint.lower())) or joint for joint in learnt}
    judged = {" ".join(re.findall(r"[a-z']+", joint.lower())) or joint for joint in several_intents.JOINTS}
    assert not words & judged


def test_glued_sentences_hold_one_two_or_three_intents():
    texts, intents = ["apple", "oak", "rain", "pear"], ["fruit", "tree", "weather", "fruit"]
    rows = several_intents.glued(texts, intents, 500, seed=1)
    assert rows == several_intents.glued(texts, intents, 500, seed=1)
    numbers = [len(labels) for _, labels in rows]
    assert [numbers.count(number) / 500 for number in (1, 2, 3)] == pytest.approx(several_intents.SHARES, abs=0.06)
    of = dict(zip(texts, intents, strict=True))
    for text, labels in rows:
        assert labels == sorted({of[word] for word in texts if word in text.lower()})


def test_the_stand_in_has_three_quarters_of_its_rows_in_one_intent(tmp_path):
    for name, rows in (("train", 120), ("test", 40)):
        lines = [f"{name} {number} of {intent},{intent}" for intent in range(77) for number in range(rows)]
        (tmp_path / f"{name}.csv").write_text("text,intent\n" + "\n".join(lines))
    rows = several_intents.imbalanced(tmp_path)
    counts = [sum(intent == f"intent {number}" for _, intent in rows["train"]) for number in range(1, 17)]
    assert counts == list(several_intents.SIZES)
    assert len({intent for _, intent in rows["test"]}) == 16
