#!/usr/bin/env python
"""Measure intent_bert beside its peers on this machine: one command.

    .venv/bin/python benchmarks/run.py                              everything, two to three hours
    .venv/bin/python benchmarks/run.py --quick                      does every peer run? no figure to keep
    .venv/bin/python benchmarks/run.py --only training --peers intent_bert,torch --sizes minilm --repeats 5

Run it with the Python that intent_bert is installed in. The peers' environments are made in benchmarks/.venvs, the
checkpoints in benchmarks/.work. Every measurement is a process of its own; the peers take turns, round by round. The
figures go to benchmarks/results/DATE.json as they come; what an earlier run of that date has measured stays there
unless it is measured again. benchmarks/RESULTS.md and RESULTS.png are made of that file. This file imports neither
PyTorch nor TensorFlow.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import environments
import figures
from environments import HERE, PRODUCT, ROOT
from jobs import DEFAULT_PARTS, JOBS, PARTS, SIZES, TASKS, Job, chosen, rounds

PEERS = HERE / "peers"
sys.path.insert(0, str(PEERS))
from protocol import Request, sample_rows  # noqa: E402

WORK = HERE / ".work"
SENTENCE = "Play our song now"
STARTS = 3  # per round
SPARE_SECONDS = 1200  # that a measurement may take beyond what it is asked to
SHARES = {  # of the base size, which is some eight times the work
    "steps": 24,
    "warmup": 12,
    "singles": 100,
    "batch": 1000,
}
QUICK = {"steps": 3, "warmup": 2, "singles": 20, "batch": 120, "max_seconds": 15.0, "cap_seconds": 30.0}
QUICK_BASE = {"steps": 1, "warmup": 1, "singles": 5, "batch": 60}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    jobs = chosen(options.only, options.peers, options.sizes)
    if options.list:
        for job, size in jobs:
            print(f"{job.part:<11} {size or '-':<7} {job.peer:<24} {job.what}")
        return 0
    if not jobs:
        raise SystemExit("no measurement is left: --list shows which peers the parts and sizes have")
    environments.check_product(options.python)
    environments.make({job.environment for job, _ in jobs})
    results, places = opening(options, jobs)
    try:
        measure_all(results, rounds(jobs, options.repeats), places, options)
    except KeyboardInterrupt:
        print("interrupted: what is measured so far is kept", file=sys.stderr)
        return 130
    finally:
        if results["records"]:
            write_report(results, options)
    failed = [record for record in results["records"] if "error" in record]
    for record in failed:
        print(f"did not run: {record['part']} {record['size']} {record['peer']}: {record['error']}", file=sys.stderr)
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    peers = tuple(dict.fromkeys(job.peer for job in JOBS))
    parser.add_argument("--only", type=names(PARTS), default=DEFAULT_PARTS, metavar="A,B",
                        help=f"parts: {', '.join(PARTS)} (default: all but accuracy)")  # fmt: skip
    parser.add_argument("--peers", type=names(peers), default=(), metavar="A,B", help=f"peers: {', '.join(peers)}")
    parser.add_argument("--sizes", type=names(SIZES), default=SIZES, metavar="A,B", help=", ".join(SIZES))
    parser.add_argument("--repeats", type=int, default=None, help="rounds (default: 3, or 1 with --quick)")
    parser.add_argument("--steps", type=int, default=None,
                        help="timed training steps of 32 sentences (default: 120; 24 for the base size)")  # fmt: skip
    parser.add_argument(
        "--max-seconds", type=float, default=None, help="a slow peer's training stops then (default: 90)"
    )
    parser.add_argument("--cap-minutes", type=float, default=None,
                        help="of time-to-98 and accuracy (default: 30)")  # fmt: skip
    parser.add_argument("--cores", type=int, default=2, help="how many cores the measurements may use (default: 2)")
    parser.add_argument("--quick", action="store_true",
                        help="a few steps and sentences each, kept in benchmarks/.work/quick")  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="make the checkpoints and models in .work anew")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has intent_bert (default: this)")
    parser.add_argument("--list", action="store_true", help="list what would be measured")
    options = parser.parse_args(arguments)
    if options.repeats is None:
        options.repeats = 1 if options.quick else 3
    if min(options.repeats, options.cores, 1 if options.steps is None else options.steps) < 1:
        parser.error("--repeats, --cores and --steps must be at least 1")
    options.folder = WORK / "quick" if options.quick else HERE
    return options


def names(known: Sequence[str]) -> Any:
    def read(text: str) -> tuple[str, ...]:
        given = tuple(name.strip() for name in text.split(",") if name.strip())
        unknown = [name for name in given if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return given

    return read


# --- before the first measurement ------------------------------------------------------------------------------------


def opening(options: argparse.Namespace, jobs: Sequence[tuple[Job, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results file's head, with the earlier records that stay, and where data and models are."""
    if options.fresh:
        for size in SIZES:
            shutil.rmtree(WORK / size, ignore_errors=True)
    sizes = [size for size in SIZES if any(size == wanted for _, wanted in jobs)]
    places: dict[str, Any] = {"longest": 0, "data": ""}
    described: dict[str, Any] = {}
    for size in sizes:
        facts, places["data"] = prepare(size, options.python)
        tokens = facts["tokens"]
        places["longest"] = max(places["longest"], *tokens["train"], *tokens["test"])
        request = request_of("speed", size, options)
        rows = sample_rows(len(tokens["train"]), request.warmup, request.steps, request.seed)
        sample = [tokens["train"][row] for row in rows]
        described[size] = {
            "shape": facts["shape"],
            "steps": request.steps,
            "warmup": request.warmup,
            "mean_tokens": sum(sample) / len(sample),
            "training_flops": figures.training_flops(facts["shape"], sample),
        }
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(options.cores),
        "python": platform.python_version(),
        "settings": {"repeats": options.repeats, "quick": options.quick},
        "sizes": described,
        "versions": {},
        "records": [],
    }
    file = results_file(options)
    if file.is_file():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        again = {(job.part, size, job.peer) for job, size in jobs}
        results["records"] = [
            record for record in earlier["records"] if (record["part"], record["size"], record["peer"]) not in again
        ]
        results["versions"] = earlier["versions"]
        results["sizes"] = {**earlier["sizes"], **described}
    return results, places


def prepare(size: str, python: str) -> tuple[dict[str, Any], str]:
    if not (WORK / size).is_dir():
        print(f"making the checkpoints and models of the {size} size (a minute or two) ...", file=sys.stderr)
    command = [python, str(PEERS / "prepare.py"), size, str(WORK)]
    done = subprocess.run(command, env=environments.variables(PRODUCT), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"can't prepare the {size} size: {last_line(done.stderr)}")
    found = json.loads(last_line(done.stdout))
    return json.loads(Path(found["facts"]).read_text(encoding="utf-8")), found["data"]


def request_of(task: str, size: str, options: argparse.Namespace, **given: Any) -> Request:
    """The request of a task for a size, as the options have it."""
    settings: dict[str, Any] = dict(SHARES) if size == "base" else {}
    if options.quick:
        settings = {**QUICK, **(QUICK_BASE if size == "base" else {})}
    for name, value in (("steps", options.steps), ("max_seconds", options.max_seconds)):
        if value is not None:
            settings[name] = value
    if options.cap_minutes is not None:
        settings["cap_seconds"] = 60 * options.cap_minutes
    return Request(task, **{**settings, **given})


def machine(cores: int) -> dict[str, Any]:
    cpu, flags = platform.processor() or platform.machine(), set()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        pairs = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in pairs.items()}
        cpu = named.get("model name", cpu)
        flags = set(named.get("flags", "").split())
    bf16 = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": f"{cpu} ({', '.join(bf16)})" if bf16 else cpu,
        "cores": min(cores, os.cpu_count() or cores),
        "memory_gb": round(memory / 2**30),
    }


def commit() -> str:
    """The commit that is measured, with a plus sign if the package differs from it."""
    head = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    changed = ["git", "-C", str(ROOT), "status", "--porcelain", "--", "intent_bert"]
    try:
        name, changes = (
            subprocess.run(each, capture_output=True, text=True).stdout.strip() for each in (head, changed)
        )
    except OSError:
        return "an unknown commit"
    return f"{name}{'+' if changes else ''}" if name else "an unknown commit"


# --- measuring -------------------------------------------------------------------------------------------------------


def measure_all(
    results: dict[str, Any], plan: Sequence[tuple[int, Job, str]], places: dict[str, Any], options: argparse.Namespace
) -> None:
    measured_commit = commit()
    for number, (turn, job, size) in enumerate(plan, start=1):
        print(f"[{number}/{len(plan)}] {job.part} {size} {job.peer} ...", end=" ", file=sys.stderr, flush=True)
        record: dict[str, Any] = {"part": job.part, "size": size, "peer": job.peer, "round": turn}
        record["commit"] = measured_commit
        started, busy, own = time.perf_counter(), busy_seconds(options.cores), children_seconds()
        try:
            record["result"] = measure_start(job, size, options) if job.part == "start" else measure(
                job, size, places, options
            )  # fmt: skip
            results["versions"].setdefault(job.environment, {}).update(record["result"].pop("versions", {}))
        except MeasurementError as error:
            record["error"] = str(error)
        seconds = time.perf_counter() - started
        if busy is not None:
            others = busy_seconds(options.cores) - busy - (children_seconds() - own)
            record["others"] = round(max(0.0, others) / seconds / options.cores, 3)
        record["wall"] = round(seconds, 1)
        results["records"].append(record)
        save(results, options)
        print(f"{headline(job, record)} ({seconds:.0f} s)", file=sys.stderr)


class MeasurementError(Exception):
    """A peer that gave no figure, in one line."""


def measure(job: Job, size: str, places: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    request = request_of(
        TASKS[job.part],
        size,
        options,
        variant=job.variant,
        data=places["data"],
        work=str(WORK / size),
        longest=places["longest"],
        every=job.every,
    )
    limit = SPARE_SECONDS + (request.cap_seconds if request.task in ("until", "whole") else request.max_seconds)
    python = environments.interpreter(job.environment, options.python)
    output = run([python, str(PEERS / job.script), json.dumps(vars(request))], job.environment, options.cores, limit)
    try:
        return json.loads(last_line(output))
    except ValueError:
        raise MeasurementError(f"expected a line of JSON, found {last_line(output)[:100]!r}") from None


def measure_start(job: Job, size: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds from starting the command until it has ended; the median of a few, after one that warms the disk."""
    python = environments.interpreter(job.environment, options.python)
    own = [python, "-m", "intent_bert.cli", "predict", str(WORK / size / "model"), SENTENCE]
    theirs = [python, str(PEERS / job.script), str(WORK / size / "classifier"), SENTENCE]
    command = own if job.environment == PRODUCT else theirs
    seconds = []
    for _ in range(STARTS + 1):
        start = time.perf_counter()
        output = run(command, job.environment, options.cores, SPARE_SECONDS)
        seconds.append(time.perf_counter() - start)
    return {"seconds": sorted(seconds[1:])[STARTS // 2], "answer": last_line(output)}


def run(command: list[str], environment: str, cores: int, limit: float) -> str:
    """A process's stdout; it sees only as many cores as it may use."""

    def keep_to_cores() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    try:
        done = subprocess.run(
            command,
            env=environments.variables(environment),
            capture_output=True,
            text=True,
            timeout=limit,
            preexec_fn=keep_to_cores,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"no answer within {limit:.0f} s") from None
    if done.returncode:
        reason = last_line(done.stderr).replace(str(ROOT), ".") or "nothing on stderr"
        raise MeasurementError(f"ended with code {done.returncode}: {reason[:300]}")
    return done.stdout


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def busy_seconds(cores: int) -> float | None:
    """How long the cores that measurements use have been busy since the machine started, for whomever."""
    stat = Path("/proc/stat")
    if not stat.is_file() or not hasattr(os, "sched_getaffinity"):
        return None
    used = {f"cpu{number}" for number in sorted(os.sched_getaffinity(0))[:cores]}
    rows = [line.split() for line in stat.read_text(encoding="utf-8").splitlines()]
    ticks = 0
    for _name, user, nice, system, _idle, _iowait, irq, softirq, *_ in (row for row in rows if row[0] in used):
        ticks += sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def headline(job: Job, record: dict[str, Any]) -> str:
    if "error" in record:
        return record["error"]
    shown = [f"{key} {value:.4g}" for key, value in record["result"].items() if isinstance(value, float)]
    return ", ".join(shown[:3])


# --- writing ---------------------------------------------------------------------------------------------------------


def results_file(options: argparse.Namespace) -> Path:
    return options.folder / "results" / f"{datetime.date.today().isoformat()}.json"


def save(results: dict[str, Any], options: argparse.Namespace) -> None:
    file = options.folder / "results" / f"{results['date']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)


def write_report(results: dict[str, Any], options: argparse.Namespace) -> None:
    source, picture = options.folder / "results" / f"{results['date']}.json", options.folder / "RESULTS.png"
    command = [options.python, str(HERE / "picture.py"), str(source), str(picture)]
    drawn = subprocess.run(command, env=environments.variables(PRODUCT), capture_output=True, text=True)
    if drawn.returncode:
        print(f"no picture: {last_line(drawn.stderr)}", file=sys.stderr)
    report = options.folder / "RESULTS.md"
    report.write_text(figures.markdown(results, None if drawn.returncode else picture.name), encoding="utf-8")
    print(report, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
