#!/usr/bin/env python
"""Random damage to tables, and what the commands make of it: an answer or one sentence, never a traceback.

python scripts/mutate_tables.py runs/model --number 2000 --seed 0

Each mutation takes a small good table (csv, tsv, JSON lines or Parquet), damages it in one to three ways (bytes
flipped, columns dropped, quotes torn, huge cells, mixed encodings, line ends mixed, JSON nested ...) and sends it
through what ``train`` checks before its first step, ``split``, ``evaluate`` and ``predict --input``, which stops or
skips at a broken row. Each must end with exit 0 or 2; with 2 there is one sentence on stderr and nothing half-written;
and a table that training takes is one that ``predict`` takes. The counts are printed; exit 1 if one of these failed,
with the damaged files kept in ``--keep``.
"""

import argparse
import io
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from intent_bert import IntentPredictor, TrainingConfig
from intent_bert.cli import main as intent_bert_main
from intent_bert.cli.console import run_as_command
from intent_bert.data.datasets import read_tables
from intent_bert.data.labels import classes_of
from intent_bert.data.rows import RowReader
from intent_bert.data.splits import with_validation
from intent_bert.files.tables_out import csv_text

FORMATS = ("csv", "tsv", "jsonl", "parquet")
LONGEST_SENTENCE = 1500  # characters on stderr with exit 2

Rows = list[dict[str, object]]
Outcome = tuple[int, str]  # exit code and stderr


# --- good tables -------------------------------------------------------------------------------------------------


def good_rows(rng: random.Random) -> Rows:
    endings = ("", " please", ", now", ' "at once"', "\nand tomorrow", " für José 🎵")
    words = {"music": ("play", "sing", "hear"), "weather": ("rain", "sun", "snow"), "table": ("book", "dine", "eat")}
    rows: Rows = [
        {"id": number, "text": f"{verb} number {number}{rng.choice(endings)}", "day": f"2024-05-{number % 28 + 1:02}"}
        | {"intent": intent}
        for number, (intent, verb) in enumerate((intent, verb) for intent in words for verb in words[intent] * 4)
    ]
    rng.shuffle(rows)
    return rows


def as_bytes(rows: Rows, kind: str, rng: random.Random) -> bytes:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")
    if kind == "parquet":
        return as_parquet({column: [row.get(column) for row in rows] for column in columns}, rng)
    lines = [columns, *([row.get(column) for column in columns] for row in rows)]
    return csv_text(lines, "\t" if kind == "tsv" else ",").encode("utf-8", "backslashreplace")


def as_parquet(cells: dict[str, list], rng: random.Random) -> bytes:
    """The columns as Parquet, some with a type of its own."""
    import pyarrow
    import pyarrow.parquet

    number = pyarrow.int64()
    types = [
        pyarrow.large_string(), pyarrow.binary(), pyarrow.float32(), pyarrow.decimal128(20, 3), pyarrow.date32(),
        pyarrow.timestamp("ns"), pyarrow.timestamp("us", "Europe/Berlin"), pyarrow.duration("ns"), pyarrow.time64("us"),
        pyarrow.bool_(), pyarrow.null(), pyarrow.list_(number), pyarrow.struct({"a": number}), number,
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), pyarrow.map_(pyarrow.string(), number),
    ]  # fmt: skip
    arrays = {}
    for column, values in cells.items():
        try:
            arrays[column] = pyarrow.array(values)
        except (pyarrow.ArrowException, ValueError, OverflowError):  # values of several types, half a character
            arrays[column] = pyarrow.array(list(map(ascii, values)))
        if rng.random() < 0.15:
            type, odd = (
                rng.choice(types),
                pyarrow.array(rng.choices([0, 1, 86_399, 2**62, None], k=len(values)), number),
            )
            for made in (arrays[column], odd):
                try:
                    arrays[column] = made.cast(type, safe=False)
                    break
                except (pyarrow.ArrowException, ValueError):
                    continue
    stream = io.BytesIO()
    settings = {"row_group_size": rng.choice((5, 1000)), "compression": rng.choice(("none", "snappy", "zstd"))}
    pyarrow.parquet.write_table(pyarrow.table(arrays), stream, use_dictionary=rng.random() < 0.5, **settings)
    return stream.getvalue()


# --- damage to rows ----------------------------------------------------------------------------------------------


def drop_column(rows: Rows, rng: random.Random) -> Rows:
    gone = rng.choice(("id", "text", "day", "intent"))
    return [{column: cell for column, cell in row.items() if column != gone} for row in rows]


def rename_column(rows: Rows, rng: random.Random) -> Rows:
    old, new = rng.choice(("id", "text", "intent")), rng.choice(("", "text", "intent", "Text", "\0", "a" * 3000, "🎵"))
    return [{new if column == old else column: cell for column, cell in row.items()} for row in rows]


def odd_cell(rows: Rows, rng: random.Random) -> Rows:
    odd: list[object] = ["", " ", None, float("nan"), float("inf"), 10**30, -1, True, [], {"a": [1]}, "a\rb", "\0"]
    odd += [
        "=1+1",
        "\ufeff",
        "\u2028",
        "a" * rng.choice((200, 20_000, 300_000)),
        "[CLS]",
        "\\ud83d",
        "'",
        '"',
        ",",
        "\t",
        "nan",
    ]
    column, value = rng.choice(("id", "text", "day", "intent")), rng.choice(odd)
    every = rng.random() < 0.2
    return [{**row, column: value} if every or rng.random() < 0.1 else row for row in rows]


def few_rows(rows: Rows, rng: random.Random) -> Rows:
    return rows[: rng.choice((1, 2, 3, 5))]


def one_intent(rows: Rows, rng: random.Random) -> Rows:
    return [{**row, "intent": "music"} for row in rows]


def own_intents(rows: Rows, rng: random.Random) -> Rows:
    return [{**row, "intent": f"intent {number}"} for number, row in enumerate(rows)]


def same_texts(rows: Rows, rng: random.Random) -> Rows:
    return [{**row, "text": "play it"} if rng.random() < 0.6 else row for row in rows]


# --- damage to bytes ---------------------------------------------------------------------------------------------


def flip_bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def cut_out(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice((1, 5, 200)) :]


def repeat(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[: start + rng.choice((1, 30, 300))] + content[start:]


def insert(*pieces: bytes) -> Callable[[bytes, random.Random], bytes]:
    def insert_some(content: bytes, rng: random.Random) -> bytes:
        for _ in range(rng.choice((1, 1, 5))):
            at = rng.randrange(len(content) + 1)
            content = content[:at] + rng.choice(pieces) + content[at:]
        return content

    return insert_some


def remove_signs(content: bytes, rng: random.Random) -> bytes:
    sign = rng.choice((b'"', b",", b"\t", b"\n", b"{", b":", b"}"))
    return b"".join(piece + (sign if rng.random() < 0.9 else b"") for piece in content.split(sign))


def change_line_ends(content: bytes, rng: random.Random) -> bytes:
    ends = rng.choice(((b"\r",), (b"\r\n",), (b"\n", b"\r"), (b"\n", b"\r\n", b"\r"), (b"\n\n",), (b"\r\r\n",)))
    return b"".join(line + rng.choice(ends) for line in content.split(b"\n"))


def change_encoding(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "latin-1", "cp1252", "utf-32"))
    if rng.random() < 0.5:
        return text.encode(encoding, "replace")
    lines = text.split("\n")
    return b"\n".join(line.encode(encoding if rng.random() < 0.2 else "utf-8", "replace") for line in lines)


def change_separator(content: bytes, rng: random.Random) -> bytes:
    return content.replace(rng.choice((b",", b"\t")), rng.choice((b";", b"\t", b",", b"|")))


def repeat_header(content: bytes, rng: random.Random) -> bytes:
    header, end, rest = content.partition(b"\n")
    return rng.choice(
        (header + b",text" + end + rest, header + b"," + header + end + rest, content + header, header + end)
    )


def lines_above(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"\n\n", b"\r\n", b",,,\n", b"\xef\xbb\xbf", b"# a comment\n", b" \n", b"sep=,\n")) + content


def nest(content: bytes, rng: random.Random) -> bytes:
    deep = rng.choice((2, 50, 400, 900, 3000, 100_000))
    opened, closed = rng.choice(((b"[", b"]"), (b'{"a": ', b"}")))
    key = rng.choice((b'"id": ', b'"day": ', b'"text": ', b'"intent": '))
    before, found, after = content.partition(key)
    return before + found + opened * deep + b"1" + closed * deep + b', "more": ' * bool(found) + after


def nothing_left(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\n", b"\xef\xbb\xbf", b"\0" * 5000, b'"', b"{}", b"text,intent", b"\r"))


ROW_DAMAGE = (drop_column, rename_column, odd_cell, odd_cell, few_rows, one_intent, own_intents, same_texts)
BYTE_DAMAGE = (
    flip_bytes,
    flip_bytes,
    truncate,
    cut_out,
    repeat,
    insert(b'"', b'""', b'"""', b'\n"', b'"\n'),
    insert(b",", b"\t", b";", b"\n", b"\r", b"\r\n", b"\0", b"\x1a", b"\\"),
    insert(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xe9", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80"),
    insert(b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b"NaN", b'"\\ud83d"', b"1e999", b'{"text": {"a": 1}}\n'),
    insert(b"a" * 200_000, b"b " * 100_000, b'"' + b"c\n" * 20_000),
    remove_signs,
    change_line_ends,
    change_encoding,
    change_separator,
    repeat_header,
    nest,
    nest,
    lines_above,
    nothing_left,
)


def mutation(rng: random.Random) -> tuple[str, bytes, list[str]]:
    """The suffix of a damaged table, its bytes, and what was done to it."""
    kind, rows, done = rng.choice(FORMATS), good_rows(rng), []
    if rng.random() < 0.5:
        for damage in rng.sample(ROW_DAMAGE, rng.choice((1, 1, 2))):
            rows = damage(rows, rng)
            done.append(damage.__name__)
    content = as_bytes(rows, kind, rng)
    if not done or rng.random() < 0.5:
        for damage in rng.sample(BYTE_DAMAGE, rng.choice((1, 1, 2))):
            content = damage(content, rng)
            done.append(damage.__name__)
    if rng.random() < 0.03:
        kind, done = rng.choice(FORMATS), [*done, "other suffix"]
    return kind, content, done


# --- the commands ------------------------------------------------------------------------------------------------


def train_checks(file: Path, text_column: str, label_column: str) -> None:
    """What ``train`` does with its tables before the first step."""
    config = TrainingConfig(train_file=str(file), text_column=text_column, label_column=label_column)
    tables = with_validation(read_tables(config), config)
    classes_of(tables["train"]["intent"])


def outcome_of(command: Callable[[], int]) -> Outcome:
    """The exit code of a command and what it says on stderr; -1 and the traceback where it ends in one."""
    errors = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(errors):
        try:
            code = command()
        except SystemExit as stop:
            code = int(stop.code or 0)
        except Exception:
            return -1, traceback.format_exc()
    return code, errors.getvalue()


def outcomes_of(file: Path, model: str, work: Path, rng: random.Random) -> dict[str, Outcome]:
    """What each command makes of a file; ``work`` is a folder for what they write."""
    usual = rng.random() < 0.8
    text, label = ("text", "intent") if usual else rng.sample(("id", "text", "day", "intent", "more"), 2)
    suffix, top_k = rng.choice(FORMATS), rng.choice("123")
    columns = ["--text-column", text, "--label-column", label]
    ask = ["predict", model, "--engine", "onnx", "--input", str(file), "--text-column", text]
    skipping = [*ask, "--on-error", "skip", "--top-k", top_k, "--output", str(work / f"all.{suffix}")]
    commands: dict[str, Callable[[], int]] = {
        "train": lambda: run_as_command(lambda: train_checks(file, text, label)),
        "split": lambda: intent_bert_main(["split", str(file), str(work / "split"), *columns]),
        "evaluate": lambda: intent_bert_main(["evaluate", model, str(file), "--engine", "onnx", *columns]),
        "predict": lambda: intent_bert_main([*ask, "--output", str(work / "stopped.csv")]),
        "predict, skipping": lambda: intent_bert_main(skipping),
        "predict to stdout": lambda: intent_bert_main([*ask, "--json", "--top-k", "2"]),
    }
    return {name: outcome_of(command) for name, command in commands.items()}


def faults_of(outcomes: dict[str, Outcome], work: Path) -> list[str]:
    """What is wrong with what the commands made of a file."""
    faults = [fault for name, outcome in outcomes.items() for fault in faults_of_one(name, *outcome)]
    codes = {name: code for name, (code, _) in outcomes.items()}
    skipping = next((path for path in work.glob("all.*") if path.is_file()), work / "nothing")
    written = {"split": work / "split", "predict": work / "stopped.csv", "predict, skipping": skipping}
    for name, path in written.items():
        if path.exists() != (codes[name] == 0):
            faults.append(f"{name}: exit {codes[name]}, and {path.name} is {'' if path.exists() else 'not '}there")
    if codes["train"] == 0 != codes["predict to stdout"]:
        faults.append(f"training takes the table, predict does not: {outcomes['predict to stdout'][1]}")
    if codes["predict"] == 0 != codes["predict to stdout"]:
        faults.append(f"predict takes the table with --output, and not without: {outcomes['predict to stdout'][1]}")
    if codes["predict"] == 0 != codes["predict, skipping"]:
        faults.append(f"predict takes the table, with --on-error skip it does not: {outcomes['predict, skipping'][1]}")
    for path in (work / "stopped.csv", skipping, work / "split" / "train.csv"):
        if path.exists() and outcome_of(lambda path=path: len(list(RowReader(path))))[0] < 1:
            faults.append(f"{path.name} can't be read back")
    return faults


def faults_of_one(name: str, code: int, errors: str) -> Iterable[str]:
    lines = errors.splitlines()
    if code not in (0, 2) or "Traceback" in errors:
        yield f"{name}: exit {code}: {errors[-3000:]}"
    elif code == 2:
        told = [line for line in lines if line.startswith("intent-bert: ")]
        others = [line for line in lines if not line.startswith(("intent-bert: ", "warning: ")) and "%|" not in line]
        if len(told) != 1 or lines[-1] != told[0] or len(told[0]) > LONGEST_SENTENCE:
            yield f"{name}: not one sentence: {errors[:3000]}"
        yield from (f"{name}: also says {line!r}" for line in others if line)


def run(model: str, number: int, seed: int, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Counts of exits by command, and the faults."""
    predictor = IntentPredictor.load(model, engine="onnx")
    counts: Counter[str] = Counter()
    found: list[str] = []
    with patch.object(IntentPredictor, "load", lambda *_, **__: predictor):
        for each in range(number):
            rng = random.Random(f"{seed}/{each}")
            kind, content, done = mutation(rng)
            with tempfile.TemporaryDirectory() as folder:
                work = Path(folder)
                file = work / f"table.{kind}"
                file.write_bytes(content)
                outcomes = outcomes_of(file, model, work, rng)
                faults = faults_of(outcomes, work)
                counts.update(f"{name}: exit {code}" for name, (code, _) in outcomes.items())
                found += [f"mutation {each} ({kind}, {', '.join(done)}): {fault}" for fault in faults]
                if faults and keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, keep / f"{seed}-{each}.{kind}")
    return counts, found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model folder with model.onnx")
    parser.add_argument("--number", type=int, default=2000, help="mutations (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    parser.add_argument("--keep", type=Path, default=Path("mutations"), help="where files that found a fault go")
    options = parser.parse_args(arguments)
    counts, found = run(options.model, options.number, options.seed, options.keep)
    for fault in found:
        print(fault, file=sys.stderr)
    for name, count in sorted(counts.items()):
        print(f"{name:<28} {count:>6}")
    print(f"{options.number} mutations, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
