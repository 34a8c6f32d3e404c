"""From measurements to medians, ratios and the Markdown table: pure functions of a results file.

A results file holds ``records``, one for each measurement:

    {"part": "training", "size": "minilm", "peer": "torch", "round": 0, "others": 0.01, "commit": "2f743e2",
     "result": {...}}

or, in place of ``result``, ``error``: why there is none.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs import JOBS, OWN, PARTS, Job

QUIET = 0.05  # share of the cores that other programs may take
SIZE_TITLES = {
    "minilm": "all-MiniLM-L6-v2: 6 layers of 384",
    "base": "BERT-base's size: 12 layers of 768, random weights",
}


@dataclass(frozen=True)
class Metric:
    """A figure of a part: where it stands in a result, how it is written, and whether more of it is better."""

    part: str
    key: str
    title: str
    form: str
    more_is_better: bool


METRICS = [
    Metric("training", "sentences_per_second", "sentences/s", ".1f", True),
    Metric("answering", "p50_ms", "one sentence, p50 ms", ".2f", False),
    Metric("answering", "p99_ms", "p99 ms", ".2f", False),
    Metric("answering", "batch_sentences_per_second", "many, sentences/s", ".0f", True),
    Metric("start", "seconds", "seconds", ".2f", False),
    Metric("time-to-98", "seconds", "seconds", ".0f", False),
    Metric("accuracy", "seconds", "seconds", ".0f", False),
]
COMPARED = [  # what a ratio is given for: recipes of different lengths are not compared by their seconds
    metric for metric in METRICS if metric.key != "p99_ms" and metric.part != "accuracy"
]

Results = Mapping[str, Any]
Spread = tuple[float, float, float]  # median, lowest, highest


# --- FLOPs -----------------------------------------------------------------------------------------------------------


def matmul_parameters(shape: Mapping[str, int]) -> int:
    """The weights of an encoder that every token is multiplied with: 4 HH + 2 HI in each of L layers."""
    hidden, inner = shape["hidden"], shape["intermediate"]
    return shape["layers"] * (4 * hidden * hidden + 2 * hidden * inner)


def training_flops(shape: Mapping[str, int], tokens: Sequence[int]) -> float:
    """Useful floating-point operations of one training step, per sentence, on average over these sentence lengths.

    A multiplication and an addition for each weight and token forward, twice that backward: 6 P n. Attention scores
    and their weighted sum: 2 n n H multiply-adds a layer forward, so 12 L H n n. The head, once a sentence:
    6 (HH + HC). Padding, embeddings, LayerNorm, softmax, dropout and the optimizer count for nothing.
    """
    hidden, layers = shape["hidden"], shape["layers"]
    head = 6 * (hidden * hidden + hidden * shape["classes"])
    per_sentence = [
        6 * matmul_parameters(shape) * length + 12 * layers * hidden * length * length + head for length in tokens
    ]
    return sum(per_sentence) / len(per_sentence)


def peak(results: Results, dtype: str) -> float | None:
    """The machine's rate in GFLOP/s: the better of TensorFlow's and PyTorch's medians."""
    rates = [spread(results, "peak", "", peer, dtype) for peer in ("tensorflow", "pytorch")]
    return max((rate[0] for rate in rates if rate), default=None)


# --- medians and ratios ----------------------------------------------------------------------------------------------


def results_of(results: Results, part: str, size: str, peer: str) -> list[dict[str, Any]]:
    """What a peer's measurements gave, the failed ones left out."""
    return [
        record["result"]
        for record in results["records"]
        if (record["part"], record["size"], record["peer"]) == (part, size, peer) and "result" in record
    ]


def spread(results: Results, part: str, size: str, peer: str, key: str) -> Spread | None:
    values = [result[key] for result in results_of(results, part, size, peer) if key in result]
    return (statistics.median(values), min(values), max(values)) if values else None


def ratio(results: Results, metric: Metric, size: str, peer: str) -> float | None:
    """How many times as fast as intent_bert the peer is; None where there is nothing to compare with."""
    if metric.part == "time-to-98" and not reached(results, size, OWN):
        return None
    theirs, own = (spread(results, metric.part, size, name, metric.key) for name in (peer, OWN))
    if theirs is None or own is None:
        return None
    return theirs[0] / own[0] if metric.more_is_better else own[0] / theirs[0]


def reached(results: Results, size: str, peer: str) -> bool:
    """Whether every run of the peer reached the goal; where not, its seconds are a lower bound."""
    return all(result["reached"] for result in results_of(results, "time-to-98", size, peer))


def measured(results: Results, part: str, size: str) -> list[Job]:
    """The jobs that have figures, in the order of the list."""
    return [job for job in JOBS if job.part == part and results_of(results, part, size, job.peer)]


def rounds_of(results: Results) -> str:
    """How often each figure was taken, from the seldomest to the most often: "1 to 3 rounds"."""
    times = Counter((record["part"], record["size"], record["peer"]) for record in results["records"])
    least, most = min(times.values(), default=0), max(times.values(), default=0)
    return f"{most} round{'s' * (most != 1)}" if least == most else f"{least} to {most} rounds"


def sizes_of(results: Results, part: str) -> list[str]:
    there = {record["size"] for record in results["records"] if record["part"] == part}
    return [size for size in ("", *SIZE_TITLES) if size in there]


# --- Markdown --------------------------------------------------------------------------------------------------------


def markdown(results: Results, picture: str | None = None) -> str:
    """The report of a results file."""
    machine = results["machine"]
    lines = [
        "# Results",
        "",
        f"{results['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB. "
        f"Made by `benchmarks/run.py` (see README.md), medians of {rounds_of(results)} with the "
        "lowest and the highest in brackets. Ratios say how many times as fast as intent_bert in float32.",
        "",
    ]
    if picture:
        lines += [
            f"![The speed of intent_bert and its peers: sentences a second, and seconds]({picture})",
            "",
        ]
    sections = {
        "peak": _peak,
        "training": _training,
        "answering": _answering,
        "start": _start,
        "time-to-98": _until,
        "accuracy": _accuracy,
    }
    for part in PARTS:
        for size in sizes_of(results, part):
            if measured(results, part, size):
                lines += [*sections[part](results, size), ""]
    lines += [*_remarks(results), *_versions(results)]
    return "\n".join(lines).rstrip() + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; the first two columns are text, the others figures."""
    marks = ["---", "---", *["--:"] * (len(header) - 2)]
    return [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]


def _figure(results: Results, metric: Metric, size: str, peer: str) -> str:
    found = spread(results, metric.part, size, peer, metric.key)
    if found is None:
        return ""
    median, low, high = (format(value, metric.form) for value in found)
    return f"**{median}** ({low}-{high})" if low != high else f"**{median}**"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _metrics(part: str) -> list[Metric]:
    return [metric for metric in METRICS if metric.part == part]


def _peak(results: Results, size: str) -> list[str]:
    rows = []
    for job in measured(results, "peak", size):
        rates = [spread(results, "peak", size, job.peer, dtype) for dtype in ("float32", "bfloat16")]
        rows.append([job.what, "", *("" if rate is None else f"{rate[0]:.0f}" for rate in rates)])
    return ["## The machine: matrix product, GFLOP/s", "", *table(["", "", "float32", "bfloat16"], rows)]


def _training(results: Results, size: str) -> list[str]:
    (metric,) = _metrics("training")
    flops = results["sizes"][size]["training_flops"]
    header = ["peer", "how", metric.title, "ratio", "useful GFLOP/s", "of the peak"]
    rows = []
    for job in measured(results, "training", size):
        rate = spread(results, "training", size, job.peer, metric.key)
        assert rate is not None
        useful, best = rate[0] * flops / 1e9, peak(results, job.dtype)
        share = "" if best is None else f"{useful / best:.1%}"
        figures = [_figure(results, metric, size, job.peer), _times(ratio(results, metric, size, job.peer))]
        rows.append([f"`{job.peer}`", job.what, *figures, f"{useful:.0f}", share])
    mean = results["sizes"][size]["mean_tokens"]
    note = (
        f"SNIPS, {mean:.1f} tokens a sentence, {flops / 1e9:.2f} useful GFLOP a sentence; "
        "the peak is that of the peer's own number format."
    )
    return [f"## Training, {SIZE_TITLES[size]}", "", *table(header, rows), "", note]


def _answering(results: Results, size: str) -> list[str]:
    one, p99, many = _metrics("answering")
    header = ["peer", "how", one.title, p99.title, "ratio", many.title, "ratio", "right on snips/test"]
    rows = []
    for job in measured(results, "answering", size):
        trained = size == "minilm"  # the other weights are random
        accuracy = spread(results, "answering", size, job.peer, "accuracy") if trained else None
        rows.append([
            f"`{job.peer}`",
            job.what,
            _figure(results, one, size, job.peer),
            _figure(results, p99, size, job.peer),
            _times(ratio(results, one, size, job.peer)),
            _figure(results, many, size, job.peer),
            _times(ratio(results, many, size, job.peer)),
            "" if accuracy is None else f"{accuracy[0]:.1%}",
        ])  # fmt: skip
    return [f"## Answering, {SIZE_TITLES[size]}", "", *table(header, rows)]


def _start(results: Results, size: str) -> list[str]:
    (metric,) = _metrics("start")
    rows = [
        [f"`{job.peer}`", job.what, _figure(results, metric, size, job.peer),
         _times(ratio(results, metric, size, job.peer))]
        for job in measured(results, "start", size)
    ]  # fmt: skip
    return ["## From the shell prompt to the printed answer", "", *table(["peer", "how", "seconds", "ratio"], rows)]


def _until(results: Results, size: str) -> list[str]:
    (metric,) = _metrics("time-to-98")
    rows = []
    for job in measured(results, "time-to-98", size):
        sign = "" if reached(results, size, job.peer) else "more than "
        times = _times(ratio(results, metric, size, job.peer))
        best = spread(results, "time-to-98", size, job.peer, "best")
        seen = spread(results, "time-to-98", size, job.peer, "sentences")
        assert best is not None
        assert seen is not None
        rows.append([
            f"`{job.peer}`",
            job.what,
            sign + _figure(results, metric, size, job.peer),
            f"under {times}" if sign and times else times,
            f"{seen[0]:.0f}",
            f"{best[0]:.2%}",
        ])  # fmt: skip
    header = ["peer", "how", "seconds", "ratio", "sentences seen", "accuracy then"]
    title = "## Seconds of training until 98 % of snips/test are right"
    return [title, "", *table(header, rows), "", "Evaluation is left out of the time."]


def _accuracy(results: Results, size: str) -> list[str]:
    (metric,) = _metrics("accuracy")
    rows = []
    for job in measured(results, "accuracy", size):
        found = results_of(results, "accuracy", size, job.peer)
        accuracy = statistics.median(result["accuracy"] for result in found)
        end = "" if all(result["finished"] for result in found) else " (stopped at the cap)"
        rows.append([f"`{job.peer}`", job.what + end, f"**{accuracy:.2%}**", _figure(results, metric, size, job.peer)])
    header = ["peer", "how", "right on snips/test", "seconds"]
    return ["## Each recipe to its end, trained on all 13,784 sentences", "", *table(header, rows)]


def _remarks(results: Results) -> list[str]:
    lines = []
    failed = {
        (record["part"], record["size"], record["peer"]): record["error"]
        for record in results["records"]
        if "error" in record
    }
    if failed:
        lines += ["## What did not run", ""]
        for (part, size, peer), error in failed.items():
            lines.append(f"- {part}{f', {size}' if size else ''}, `{peer}`: {error}")
        lines.append("")
    shares = [record["others"] for record in results["records"] if record.get("others") is not None]
    disturbed = sum(share > QUIET for share in shares)
    if disturbed:
        lines += [
            f"**Not a quiet machine:** in {disturbed} of {len(shares)} measurements other programs took more than "
            f"{QUIET:.0%} of the cores, {max(shares):.0%} at most.",
            "",
        ]
    return lines


def _versions(results: Results) -> list[str]:
    commits = ", ".join(dict.fromkeys(record["commit"] for record in results["records"]))
    lines = ["## Versions", "", f"intent_bert at {commits}; Python {results['python']}."]
    for environment, packages in sorted(results["versions"].items()):
        lines.append(
            f"{environment}: " + ", ".join(f"{name} {version}" for name, version in sorted(packages.items())) + "."
        )
    return [*lines, ""]
