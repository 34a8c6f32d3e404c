"""What is measured: every peer of every part, one line each. To add a peer or an engine, add its line here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PARTS = ("peak", "training", "answering", "start", "time-to-98", "accuracy")
DEFAULT_PARTS = PARTS[:-1]
SIZES = ("minilm", "base")
OWN = "intent_bert"  # the peer that the others are compared with
ENGINES = ("onnx", "onnx-int8", "keras")  # of IntentPredictor; the first is OWN


@dataclass(frozen=True)
class Job:
    """One measurement. ``once`` is taken in the first round only."""

    part: str
    peer: str
    environment: str
    script: str
    variant: str
    what: str
    dtype: str = "float32"
    sizes: tuple[str, ...] = SIZES
    every: int = 10
    once: bool = False


def _fits(part: str, once: bool, names: Sequence[str] = (), sizes: tuple[str, ...] = SIZES) -> list[Job]:
    bf16: dict[str, Any] = {"dtype": "bfloat16"}
    small: dict[str, Any] = {"sizes": ("minilm",)}
    jobs = [
        Job(part, OWN, "product", "own.py", "float32", "as `intent-bert train --precision float32`, batches of 32"),
        Job(part, f"{OWN}-bf16", "product", "own.py", "bf16", "the same with `--precision bfloat16`", **bf16),
        Job(part, "torch", "torch", "torch_loop.py", "float32", "a hand-written PyTorch loop, length buckets of 32"),
        Job(part, "torch-bf16", "torch", "torch_loop.py", "bf16", "the same under bf16 autocast", **bf16),
        Job(part, "trainer", "torch", "trainer.py", "default", "Hugging Face Trainer, its defaults (batches of 8)"),
        Job(part, "trainer-32", "torch", "trainer.py", "batch32", "the same, batches of 32"),
        Job(part, "trainer-grouped", "torch", "trainer.py", "grouped", "the same, grouped by length"),
        Job(part, "trainer-grouped-bf16", "torch", "trainer.py", "grouped-bf16", "the same with `bf16=True`", **bf16),
        Job(part, "kerashub-short", "keras", "kerashub.py", "short",
            "KerasHub BertTextClassifier, cut to the longest sentence, batches of 32"),
        Job(part, "kerashub-guide", "keras", "kerashub.py", "guide",
            "KerasHub BertTextClassifier as in its guide: 512 tokens, batches of 16", **small),
        Job(part, "tutorial", "keras", "tutorial.py", "",
            "the tutorial: bert-for-tf2 on tf_keras, padded to the longest sentence, batches of 16", every=50),
    ]  # fmt: skip
    chosen = [job for job in jobs if not names or job.peer in names]
    kept = [tuple(size for size in job.sizes if size in sizes) for job in chosen]
    return [
        Job(**{**vars(job), "sizes": size, "once": once or (part == "time-to-98" and job.peer == "tutorial")})
        for job, size in zip(chosen, kept, strict=True)
    ]


def _answers() -> list[Job]:
    part, many = "answering", "sorted by length, best batch size"
    own = [
        Job(part, OWN if engine == ENGINES[0] else f"{OWN}-{engine}", "product", "own.py", engine,
            f"IntentPredictor, engine {engine}, as it is")
        for engine in ENGINES
    ]  # fmt: skip
    return [
        *own,
        Job(part, "hf-pipeline", "torch", "hf_pipeline.py", "float32", f"Hugging Face pipeline, {many}"),
        Job(part, "hf-pipeline-bf16", "torch", "hf_pipeline.py", "bf16", "the same, model in bfloat16"),
        Job(part, "st-encode", "torch", "st_encode.py", "",
            "sentence-transformers' encode and a logistic regression, best batch size"),
    ]  # fmt: skip


NO_SIZE = ("",)
JOBS: list[Job] = [
    Job("peak", "tensorflow", "product", "peak_tensorflow.py", "", "TensorFlow (oneDNN)", sizes=NO_SIZE),
    Job("peak", "pytorch", "torch", "peak_torch.py", "", "PyTorch", sizes=NO_SIZE),
    *_fits("training", once=False),
    *_answers(),
    Job("start", OWN, "product", "", "", "`intent-bert predict MODEL_DIR TEXT`", sizes=("minilm",)),
    Job("start", "huggingface", "torch", "start_huggingface.py", "", "the same in ten lines of transformers",
        sizes=("minilm",)),
    *_fits("time-to-98", False, (OWN, f"{OWN}-bf16", "torch", "torch-bf16", "tutorial"), ("minilm",)),
    *_fits("accuracy", True, sizes=("minilm",)),
]  # fmt: skip
TASKS = {"peak": "peak", "training": "speed", "answering": "answer", "time-to-98": "until", "accuracy": "whole"}


def chosen(parts: Sequence[str], peers: Sequence[str], sizes: Sequence[str]) -> list[tuple[Job, str]]:
    """The jobs of some parts, each with every size it has among ``sizes``; ``peers`` empty means all.

    Left out unless asked for by name: the guide's 512 tokens trained to the end, which take hours.
    """
    return [
        (job, size)
        for job in JOBS
        for size in job.sizes
        if job.part in parts
        and (job.peer in peers if peers else (job.part, job.peer) != ("accuracy", "kerashub-guide"))
        and (size in sizes or size == "")
    ]


def rounds(jobs: Sequence[tuple[Job, str]], repeats: int) -> list[tuple[int, Job, str]]:
    """A B C A B C: every job once in each round."""
    return [(number, job, size) for number in range(repeats) for job, size in jobs if number == 0 or not job.once]
